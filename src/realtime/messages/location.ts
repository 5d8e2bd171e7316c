import { defineServerMessage } from './definition.ts';

export const location = defineServerMessage({
  kind: 'location',
  delivery: 'latest',
  doc: 'Where the driver of a trip is, with its freshness.',
  toWire: ({ position: p, ageMs, stale }) => ({
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
    },
  }),
});
