import { defineServerMessage } from './definition.ts';
import { trustOf } from './position.ts';

export const sosAlert = defineServerMessage({
  kind: 'sos_alert',
  delivery: 'ordered',
  comesFirst: true,
  topics: ['sos'],
  doc: 'An SOS, for operators.',
  example: {
    alertId: 'sos_nyc_01jd0000000000000000000005',
    tripId: 'trip_nyc_01jd0000000000000000000003',
    claimedTripId: '',
    userId: 'rider-1',
    role: 'rider',
    status: 'active',
    position: {
      lat: 40.7484,
      lng: -73.9857,
      recordedAt: 1421322599100,
      accuracyM: 12,
      source: 'stream',
      ageMs: 950,
      stale: false,
    },
    note: 'help',
    at: 1421322600000,
  },
  toWire: ({ alertId, tripId, claimedTripId, userId, role, status, position, note, at }) => ({
    case: 'sosAlert',
    value: {
      alertId,
      tripId,
      claimedTripId,
      userId,
      role,
      status,
      note,
      atMs: at,
      position: position ? { lat: position.lat, lng: position.lng } : undefined,
      positionRecordedAtMs: position?.recordedAt ?? 0,
      ...trustOf(position),
    },
  }),
});
