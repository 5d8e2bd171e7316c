/** Follow a topic, from now on or from a position. */
import { defineClientMessage, everyone } from './definition.ts';

export const subscribe = defineClientMessage({
  kind: 'subscribe',
  case: 'subscribe',
  roles: everyone,
  rate: 'general',
  doc: 'Follows a topic. With since_offset (and the epoch it belongs to) what was missed comes first, then `subscribed`.',
  example: { topic: 'trip:trip_nyc_01jd0000000000000000000000', since_offset: '0' },
  async handle(session, { topic, sinceOffset, epoch }) {
    // No topic comes to 2^53 messages: beyond it any offset is one that was never given.
    const since =
      sinceOffset === undefined ? undefined : { offset: Math.min(Number(sinceOffset), Number.MAX_SAFE_INTEGER), epoch };
    // Said before what is live: its offset is where the client then is.
    await session.subscribe(topic, since, (result) => session.answer({ case: 'subscribed', value: result }));
    return null;
  },
});
