/** What a change of a departure means for the bookings on it, as it is counted. */
import type { BookingEvent } from '../../ports/domain-meter.ts';
import type { Booking } from './rules.ts';

/** What happened to each booking that is another than before. */
export function eventsBetween(before: readonly Booking[], after: readonly Booking[]): BookingEvent[] {
  const statuses = new Map(before.map(({ id, status }) => [id, status]));
  return after.flatMap(({ id, status }): BookingEvent[] => {
    const was = statuses.get(id);
    if (was === undefined) return ['booked'];
    // Whoever was on board of a departure that is recalled waits again: nothing new happened to his booking.
    return was === status || status === 'confirmed' ? [] : [status];
  });
}
