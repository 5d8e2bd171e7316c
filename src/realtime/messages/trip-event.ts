import { defineServerMessage } from './definition.ts';

export const tripEvent = defineServerMessage({
  kind: 'trip_event',
  delivery: 'ordered',
  topics: ['trip', 'city', 'user'],
  doc: 'A change of a trip, in the order of seq; on trip:<id> recoverable, and without an offset the last one again, as the trip’s state, when some are no longer kept; on city:<city> and the driver’s own topic live only.',
  example: {
    tripId: 'trip_nyc_01jd0000000000000000000003',
    riderId: 'rider-1',
    event: {
      id: 'evt_nyc_01jd0000000000000000000004',
      type: 'assigned',
      at: 1421322004190,
      actorId: 'driver-1',
      driverId: 'driver-1',
      seq: 3,
      status: 'assigned',
      version: 3,
    },
  },
  toWire: ({ tripId, riderId, event }) => ({
    case: 'tripEvent',
    value: {
      tripId,
      riderId,
      seq: event.seq,
      type: event.type,
      status: event.status,
      version: event.version,
      driverId: event.driverId ?? '',
      actorId: event.actorId,
      reason: event.reason ?? '',
      atMs: event.at,
      ...('booking' in event && event.booking ? { bookingId: event.booking.id, seats: event.booking.seats } : {}),
      ...('seatsFree' in event ? { seatsFree: event.seatsFree } : {}),
    },
  }),
});
