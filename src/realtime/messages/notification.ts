import { defineServerMessage } from './definition.ts';

export const notification = defineServerMessage({
  kind: 'notification',
  delivery: 'ordered',
  topics: ['user'],
  doc: 'A text for one user.',
  example: {
    id: 'ntf_nyc_01jd0000000000000000000006',
    title: 'Your driver is there',
    body: 'He waits at the north gate.',
    tripId: 'trip_nyc_01jd0000000000000000000003',
  },
  toWire: (message) => ({ case: 'notification', value: message }),
});
