import { defineServerMessage } from './definition.ts';
import { position } from './examples.ts';

export const zoneBroadcast = defineServerMessage({
  kind: 'zone_broadcast',
  delivery: 'ephemeral',
  topics: ['zone', 'city'],
  doc: 'Drivers on duty that moved in a zone or city since the last one.',
  example: {
    zone: '872a100d2ffffff',
    city: 'nyc',
    positions: [
      {
        position,
        status: 'on_trip',
        ageMs: 240,
        stale: false,
      },
    ],
  },
  toWire: ({ zone, city, positions }) => ({
    case: 'zoneBroadcast',
    value: {
      zone,
      city,
      positions: positions.map(({ position: p, status, ageMs, stale, staleReason }) => ({
        driverId: p.driverId,
        lat: p.lat,
        lng: p.lng,
        headingDeg: p.headingDeg,
        status,
        ageMs,
        accuracyM: p.accuracyM,
        source: p.source,
        stale,
        staleReason,
      })),
    },
  }),
});
