import { defineServerMessage } from './definition.ts';

export const anomalyFlag = defineServerMessage({
  kind: 'anomaly_flag',
  delivery: 'ephemeral',
  topics: ['city'],
  doc: 'Something looks like cheating; for operators to look at, once when it is found and again when it is found after a review.',
  example: {
    id: 'cancellation_abuse:driver-1',
    kind: 'cancellation_abuse',
    subjectId: 'driver-1',
    subjectRole: 'driver',
    city: 'nyc',
    score: 0.6,
    evidence: '{"cancelled":6,"of":9,"share":0.667}',
    at: 1421322600000,
  },
  toWire: ({ id, at, ...same }) => ({ case: 'anomalyFlag', value: { ...same, anomalyId: id, atMs: at } }),
});
