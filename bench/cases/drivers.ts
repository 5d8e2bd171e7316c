/** Drivers that are on duty and on no trip: what location ingest is measured with. */
import type { Context } from '../harness/context.ts';
import { type RideServer, SECRET, startRide } from '../harness/ride.ts';
import { placeOf } from '../harness/trips.ts';
import { type Member, signToken } from '../load/dialects.ts';

const AT_ONCE = 16;

/** Members of a load; they publish, and follow nothing. */
export const driversOf = (count: number): Member[] =>
  Array.from({ length: count }, (_, i) => ({
    userId: `d-duty-${String(i).padStart(5, '0')}`,
    role: 'driver',
    follows: [],
    // Publishes, but on no trip.
    publishesTo: 'trip:',
    place: placeOf(i),
  }));

/** Puts them on duty; their first position makes them available. */
export async function goOnDuty(context: Context, drivers: readonly Member[]): Promise<void> {
  const server: RideServer = await startRide(context.ground);
  try {
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let driver = drivers[next++]; driver; driver = drivers[next++]) {
        await server.rest('PUT', '/api/v1/drivers/me/status', signToken(driver, SECRET), { status: 'looking' });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  } finally {
    await server.stop();
  }
}
