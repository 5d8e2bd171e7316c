import { defineServerMessage } from './definition.ts';

export const zoneBroadcast = defineServerMessage({
  kind: 'zone_broadcast',
  delivery: 'ephemeral',
  doc: 'Drivers that moved in a zone or city since the last one.',
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
