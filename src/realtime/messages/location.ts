import { defineServerMessage } from './definition.ts';
import { position } from './examples.ts';

export const location = defineServerMessage({
  kind: 'location',
  delivery: 'latest',
  topics: ['trip'],
  doc: 'Where the driver of a trip is, with its freshness.',
  example: {
    position,
    ageMs: 12,
    stale: false,
  },
  toWire: ({ position: p, ageMs, stale, staleReason }) => ({
    case: 'location',
    value: {
      tripId: p.tripId,
      driverId: p.driverId,
      lat: p.lat,
      lng: p.lng,
      speedMps: p.speedMps,
      headingDeg: p.headingDeg,
      accuracyM: p.accuracyM,
      recordedAtMs: p.recordedAt,
      ageMs: ageMs,
      source: p.source,
      stale,
      staleReason,
    },
  }),
});
