/** When the veil before a trip's chat is lifted. Who hears what on every transport is in test/edge/other-people.test.ts. */
import t from 'tap';
import { encodeEnvelope } from '../../src/realtime/envelope.ts';
import type { Frame } from '../../src/realtime/frame.ts';
import type { ServerPayload } from '../../src/realtime/payload.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';
import { realtimeNode } from './node.ts';

const TOPIC = 'trip:t';
/** Of the event that makes the trip his. */
const SEQ = 3;

const envelope = (payload: ServerPayload): Buffer =>
  encodeEnvelope({ lamport: 1, nodeId: 'n', sequence: 1, eventId: '', topic: TOPIC, sentAtMs: 0 }, payload);
const assigned = envelope({
  case: 'tripEvent',
  value: { tripId: 't', type: 'assigned', driverId: 'driver', seq: SEQ, atMs: 1000 },
});
/** By a node whose clock is far ahead, or far behind, of that of the others: it says nothing of before and after. */
const said = (tripSeq: number) =>
  envelope({
    case: 'chatMessage',
    value: { tripId: 't', text: `at ${tripSeq}`, atMs: tripSeq < SEQ ? 9000 : 1, tripSeq },
  });
const textsOf = (frames: readonly Frame[]) =>
  frames
    .filter(({ kind }) => kind === 'chat_message')
    .map((frame) => frame.decode(({ payload }) => (payload.case === 'chatMessage' ? payload.value.text : null)));

for (const since of [undefined, { offset: 0, epoch: '' }])
  t.test(
    `who is given the trip while he begins to follow it hears what is said from then on, ${since ? 'from its beginning' : 'from now on'}`,
    async (t) => {
      const { broker, bus, connect } = await realtimeNode(t, (await startRedis(t)).url);
      await bus.publishOrdered(TOPIC, said(1));
      const rider = connect('rider');
      await broker.subscribe(rider.session, TOPIC);
      const driver = connect('driver');
      let asked = 0;
      const hearing = async (): Promise<number> => {
        if (asked++ > 0) return SEQ;
        await bus.publishOrdered(TOPIC, assigned);
        // This node has it before the answer, which is older, is here.
        await until(() => rider.peer.frames.some(({ kind }) => kind === 'trip_event'), 'that it is his');
        return Number.POSITIVE_INFINITY;
      };
      await broker.subscribe(driver.session, TOPIC, since, undefined, hearing);
      await bus.publishOrdered(TOPIC, said(SEQ));
      await until(() => textsOf(driver.peer.frames).length === (since ? 2 : 1), 'all of it');
      t.same(textsOf(driver.peer.frames), [...(since ? [null] : []), `at ${SEQ}`]);
    },
  );
