/** The client has taken an ordered message. Counts as a heartbeat. */
import { invalidInput } from '../../errors.ts';
import { defineClientMessage, everyone } from './definition.ts';

export const received = defineClientMessage({
  kind: 'received',
  case: 'received',
  roles: everyone,
  rate: 'none',
  doc: 'Says that the message of this event id arrived.',
  example: { event_id: 'evt_nyc_01jd0000000000000000000000' },
  async handle(_session, { eventId }) {
    if (eventId === '') throw invalidInput('event_id', 'the id of a message that arrived');
    return {};
  },
});
