/** The client has taken an ordered message, or all of a topic up to one. Counts as a heartbeat. */
import { invalidInput } from '../../errors.ts';
import { defineClientMessage, everyone } from './definition.ts';

export const received = defineClientMessage({
  kind: 'received',
  case: 'received',
  roles: everyone,
  rate: 'none',
  doc: 'Says what arrived: with topic, offset and epoch everything of that topic up to there, which will not be sent again.',
  example: { topic: 'user:usr_nyc_01jd0000000000000000000000', offset: '7', epoch: '5f0c9a31' },
  async handle(session, { eventId, topic, offset, epoch }) {
    if (topic !== '') session.acknowledge(topic, { offset: Math.min(Number(offset), Number.MAX_SAFE_INTEGER), epoch });
    else if (eventId === '') throw invalidInput('event_id', 'the id of a message that arrived');
    return {};
  },
});
