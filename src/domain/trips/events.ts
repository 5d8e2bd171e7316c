/** What an event of a trip leads to for those who follow it, and for operators. */
import type { Positions } from '../../ports/positions.ts';
import type { Publisher } from '../../ports/publisher.ts';
import type { OutboxEvent } from '../../ports/store.ts';
import { type DepartureEvent, openly } from '../departures/rules.ts';
import { isDriven, isTerminal } from '../statuses.ts';
import type { Intelligence } from '../watch/parts.ts';
import type { TripEvent } from './rules.ts';
import type { Trip } from './trip.ts';

/**
 * To the trip's followers, in order and remembered; to the city's operators and the driver as it happens. A driver that is
 * offered the trip is not told of it here but by his job offer.
 */
export async function publishTripEvent(publisher: Publisher, tripId: string, outbox: OutboxEvent, restart: boolean) {
  const event = outbox.data as unknown as (TripEvent | DepartureEvent) & { riderId: string; city: string };
  const message = { tripId, riderId: event.riderId, event };
  const toAll = { ...message, event: openly(event) };
  const order = { source: tripId, seq: event.seq, restart };
  const outcome = await publisher.publishOrdered(`trip:${tripId}`, 'trip_event', toAll, event.id, order);
  if (outcome !== 'published') return outcome;
  publisher.publishLatest(`city:${event.city}`, 'trip_event', message, event.id);
  const concernsDriver =
    event.driverId && (isDriven(event.status) || isTerminal(event.status) || event.type === 'driver_cancelled');
  // Of bookings he is told by the departure's own reactions, whether he is there or not.
  if ('booking' in event) return outcome;
  if (concernsDriver) publisher.publishLatest(`user:${event.driverId}`, 'trip_event', message, event.id);
  return outcome;
}

/** What operators learn of a trip when it is over or was given up, and nobody is asked about any more. */
export async function afterTripEvent(
  { checkIns, anomalies }: Intelligence,
  positions: Positions,
  trip: Trip,
  event: TripEvent,
): Promise<void> {
  if (!isTerminal(event.status) && event.type !== 'driver_cancelled') return;
  const last = event.type === 'completed' ? await positions.ofTrip(trip.id) : null;
  await Promise.all([checkIns.end(trip.id), anomalies.onTripEvent(trip, event, last)]);
}
