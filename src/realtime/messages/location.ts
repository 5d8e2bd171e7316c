import { defineServerMessage } from './definition.ts';

export const location = defineServerMessage({
  kind: 'location',
  delivery: 'latest',
  topics: ['trip'],
  doc: 'Where the driver of a trip is, with its freshness.',
  example: {
    position: {
      driverId: 'driver-1',
      tripId: 'trip_nyc_01jd0000000000000000000003',
      lat: 40.7501,
      lng: -73.981,
      speedMps: 7.5,
      headingDeg: 120,
      accuracyM: 5,
      recordedAt: 1421322009000,
      vehicleClass: 'standard',
      city: 'nyc',
      source: 'stream',
    },
    ageMs: 12,
    stale: false,
  },
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
