import { defineServerMessage } from './definition.ts';

export const tripEvent = defineServerMessage({
  kind: 'trip_event',
  delivery: 'ordered',
  doc: 'A change of a trip, in the order of seq; on trip:<id> recoverable, on city:<city> and the driver’s own topic live only.',
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
    },
  }),
});
