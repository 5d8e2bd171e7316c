import { defineServerMessage } from './definition.ts';
import { trustOf } from './position.ts';

export const geofenceEvent = defineServerMessage({
  kind: 'geofence_event',
  delivery: 'ephemeral',
  topics: ['user', 'city'],
  doc: 'A driver entered or left a geofence; to himself and to the operators of its city.',
  example: {
    geofenceId: 'gfn_nyc_01jd0000000000000000000007',
    name: 'LaGuardia',
    purpose: 'airport',
    city: 'nyc',
    driverId: 'driver-1',
    tripId: '',
    type: 'exited',
    place: {
      lat: 40.7769,
      lng: -73.874,
      recordedAt: 1421322600000,
      accuracyM: 5,
      source: 'stream',
      ageMs: 640,
      stale: false,
    },
    at: 1421322600000,
    insideMs: 840000,
  },
  toWire: ({ place, at, ...same }) => ({
    case: 'geofenceEvent',
    value: {
      ...same,
      position: { lat: place.lat, lng: place.lng },
      atMs: at,
      ...trustOf(place),
      ageMs: place.ageMs ?? 0,
    },
  }),
});
