/** Stop following a topic. */
import { defineClientMessage, everyone } from './definition.ts';

export const unsubscribe = defineClientMessage({
  kind: 'unsubscribe',
  case: 'unsubscribe',
  roles: everyone,
  rate: 'general',
  doc: 'Ends a subscription; one that is not there is no error.',
  example: { topic: 'trip:trip_nyc_01jd0000000000000000000000' },
  async handle(session, { topic }) {
    session.unsubscribe(topic);
    return {};
  },
});
