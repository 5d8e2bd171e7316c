/**
 * What follows from an event of a departure: bookings are listed, passengers and the driver are told, the driver is bound or freed.
 * Reactions, so that a crash between two steps is finished by whoever relays the outbox next.
 */
import type { Logger } from '../../ports/logger.ts';
import type { Publisher } from '../../ports/publisher.ts';
import type { Project } from '../bookings/projection.ts';
import type { Drivers } from '../drivers/service.ts';
import { isDriven } from '../statuses.ts';
import type { Changes } from './changes.ts';
import type { Departure } from './departure.ts';
import { type DepartureEvent, decideDeparture } from './rules.ts';

export interface ReactionsDeps {
  changes: Changes;
  project: Project;
  drivers: Pick<Drivers, 'get' | 'release'>;
  claim(driverId: string, tripId: string): Promise<boolean>;
  freeUnlessDriven(driverId: string, tripId: string): Promise<boolean>;
  publisher: Publisher;
  log: Logger;
}

/** @returns what the relay of trips calls with each event of a departure; safe to repeat */
export function createReactions(deps: ReactionsDeps): (departure: Departure, event: DepartureEvent) => Promise<void> {
  const { changes, project, drivers, publisher } = deps;

  /** What is told to somebody who is away waits for him. */
  async function tell(userId: string, riderId: string, tripId: string, event: DepartureEvent): Promise<void> {
    await publisher.publishOrdered(`user:${userId}`, 'trip_event', { tripId, riderId, event }, event.id);
  }

  /**
   * He was bound before he arrived. A claim that was taken for one left behind may have been undone since, and another trip given to
   * him: then the departure waits again.
   */
  async function holdDriver({ id, driverId }: Departure): Promise<void> {
    if ((await drivers.get(driverId))?.activeTripId === id) return;
    if (await deps.claim(driverId, id)) {
      // It may have ended meanwhile, and he been freed, by another node.
      await deps.freeUnlessDriven(driverId, id);
      return;
    }
    deps.log.warn({ driver_id: driverId, trip_id: id }, 'the driver was given another trip meanwhile; passengers wait');
    await changes.change(id, (departure, now) => decideDeparture(departure, { type: 'recall' }, now));
  }

  return async (departure, event) => {
    const { id, driverId } = departure;
    const { booking, passengerIds = [] } = event;
    if (booking) {
      await project(departure, booking.id);
      await tell(booking.passengerId, booking.passengerId, id, event);
      await tell(driverId, '', id, event);
      return;
    }
    await project(departure);
    for (const passengerId of passengerIds) await tell(passengerId, passengerId, id, event);
    if (event.type === 'driver_arrived' && isDriven(departure.status)) await holdDriver(departure);
    if (['recalled', 'completed', 'cancelled', 'expired'].includes(event.type)) await drivers.release(driverId, id);
  };
}
