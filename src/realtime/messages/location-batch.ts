/** Several positions, oldest first: all are taken or, when one breaks a rule, none. */
import { defineClientMessage } from './definition.ts';
import { toPositionInput } from './position.ts';

export const locationBatch = defineClientMessage({
  kind: 'location_batch',
  case: 'locationBatch',
  roles: ['driver'],
  rate: 'location',
  cost: ({ updates }) => updates.length,
  doc: 'Positions gathered while the network was away, oldest first; one ack for all.',
  example: {
    updates: [
      { lat: 40.7484, lng: -73.9857, recorded_at_ms: '1421322000000' },
      { lat: 40.7489, lng: -73.9851, recorded_at_ms: '1421322005000' },
    ],
  },
  handle: (session, payload, { locations }) =>
    locations.updateBatch(session.principal, payload.updates.map(toPositionInput), 'stream'),
});
