import { DRIVER_ID, RIDER_ID, TRIP_ID } from '../../domain/examples.ts';
import { defineServerMessage } from './definition.ts';

export const ratingGiven = defineServerMessage({
  kind: 'rating_given',
  delivery: 'ephemeral',
  topics: ['city'],
  doc: 'One side of a trip that is completed rated the other; for operators, never for whom it is about.',
  example: {
    tripId: TRIP_ID,
    raterId: RIDER_ID,
    raterRole: 'rider',
    subjectId: DRIVER_ID,
    subjectRole: 'driver',
    stars: 5,
    comment: 'a calm ride',
    at: 1421322600000,
  },
  toWire: ({ at, ...same }) => ({ case: 'ratingGiven', value: { ...same, atMs: at } }),
});
