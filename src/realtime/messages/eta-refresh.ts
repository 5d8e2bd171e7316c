import { defineServerMessage } from './definition.ts';

export const etaRefresh = defineServerMessage({
  kind: 'eta_refresh',
  delivery: 'latest',
  doc: 'How far the driver is from the pick-up, or from the drop-off once the trip is on.',
  toWire: (message) => ({ case: 'etaRefresh', value: message }),
});
