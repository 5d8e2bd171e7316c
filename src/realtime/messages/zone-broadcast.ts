import { defineServerMessage } from './definition.ts';

export const zoneBroadcast = defineServerMessage({
  kind: 'zone_broadcast',
  delivery: 'ephemeral',
  topics: ['zone', 'city'],
  doc: 'Drivers that moved in a zone or city since the last one.',
  example: {
    zone: '872a100d2ffffff',
    city: 'nyc',
    positions: [
      {
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
        status: 'on_trip',
        ageMs: 240,
      },
    ],
  },
  toWire: ({ zone, city, positions }) => ({
    case: 'zoneBroadcast',
    value: {
      zone,
      city,
      positions: positions.map(({ position: p, status, ageMs }) => ({
        driverId: p.driverId,
        lat: p.lat,
        lng: p.lng,
        headingDeg: p.headingDeg,
        status,
        ageMs: ageMs,
      })),
    },
  }),
});
