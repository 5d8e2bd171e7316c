import { defineServerMessage } from './definition.ts';

export const sosAlert = defineServerMessage({
  kind: 'sos_alert',
  delivery: 'ordered',
  doc: 'An SOS, for operators.',
  toWire: ({ alertId, tripId, userId, role, status, position, note, at }) => ({
    case: 'sosAlert',
    value: {
      alertId,
      tripId,
      userId,
      role,
      status,
      note,
      atMs: at,
      position: position ? { lat: position.lat, lng: position.lng } : undefined,
    },
  }),
});
