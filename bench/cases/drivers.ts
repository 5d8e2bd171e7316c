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
export const goOnDuty = (context: Context, drivers: readonly Member[]): Promise<void> =>
  setStatus(context, drivers, 'looking');

/** So that they take no trip of a case that shares their server. */
export async function goOffDuty(context: Context, drivers: readonly Member[]): Promise<void> {
  if (context.ground.only) await setStatus(context, drivers, 'offline');
}

async function setStatus(context: Context, drivers: readonly Member[], status: 'looking' | 'offline'): Promise<void> {
  const server: RideServer = await startRide(context.ground);
  try {
    const next = drivers.values();
    const lane = async (): Promise<void> => {
      for (const driver of next)
        await server.rest('PUT', '/api/v1/drivers/me/status', signToken(driver, SECRET), { status });
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  } finally {
    await server.stop();
  }
}
