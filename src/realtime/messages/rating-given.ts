import { defineServerMessage } from './definition.ts';

export const ratingGiven = defineServerMessage({
  kind: 'rating_given',
  delivery: 'ephemeral',
  topics: ['city'],
  doc: 'One side of a trip that is completed rated the other; for operators, never for whom it is about.',
  example: {
    tripId: 'trip_nyc_01jd0000000000000000000003',
    raterId: 'rider-1',
    raterRole: 'rider',
    subjectId: 'driver-1',
    subjectRole: 'driver',
    stars: 5,
    comment: 'a calm ride',
    at: 1421322600000,
  },
  toWire: ({ at, ...same }) => ({ case: 'ratingGiven', value: { ...same, atMs: at } }),
});
