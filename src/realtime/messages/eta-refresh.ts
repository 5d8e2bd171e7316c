import { defineServerMessage } from './definition.ts';

export const etaRefresh = defineServerMessage({
  kind: 'eta_refresh',
  delivery: 'latest',
  topics: ['trip'],
  doc: 'How far the driver is from the pick-up, or from the drop-off once the trip is on.',
  example: {
    tripId: 'trip_nyc_01jd0000000000000000000003',
    etaS: 184.2,
    distanceM: 1105,
    leg: 'pickup',
    source: 'straight_line',
    ageMs: 120,
    stale: false,
    accuracyM: 5,
    positionSource: 'stream',
  },
  toWire: (message) => ({ case: 'etaRefresh', value: message }),
});
