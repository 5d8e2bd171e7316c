/** One position of a driver. The ack says that every node can read it. */
import { defineClientMessage } from './definition.ts';
import { toPositionInput } from './position.ts';

export const locationUpdate = defineClientMessage({
  kind: 'location_update',
  case: 'locationUpdate',
  roles: ['driver'],
  rate: 'location',
  doc: 'A position of the driver; with trip_id, of the trip he is on. Acknowledged once it is readable on every node.',
  example: {
    lat: 40.7484,
    lng: -73.9857,
    recorded_at_ms: '1421322000000',
    speed_mps: 7.5,
    heading_deg: 120,
    accuracy_m: 5,
  },
  handle: (session, payload, { locations }) => locations.update(session.principal, toPositionInput(payload), 'stream'),
});
