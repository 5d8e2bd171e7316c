/** Chat over a real store and a real Redis: stored before anyone sees it, in order, a repeat is the same message. */
import { fromBinary } from '@bufbuild/protobuf';
import t from 'tap';
import { ServerEnvelopeSchema } from '../../../src/realtime/generated/ride/v1/ride_pb.js';
import { until } from '../../until.ts';
import { onDuty, person, request, type Stack, shared, stack } from '../stack.ts';

const rider = person('rider', 'rider');
const driver = person('driver', 'driver');

/** A trip with its driver. */
async function assigned(s: Stack): Promise<string> {
  await onDuty(s, 'driver');
  const { id } = await request(s, 'rider');
  await until(async () => (await s.trips.find(id))?.status === 'offered', 'the offer');
  await s.dispatch.accept(id, (await s.trips.find(id))!.offer!.id, 'driver');
  await s.idle();
  return id;
}

/** Texts of the trip's topic, in order. */
async function texts(s: Stack, tripId: string): Promise<string[]> {
  const { messages } = await s.bus.history(`trip:${tripId}`, { epoch: '', offset: 0 }, 1000);
  return messages.flatMap(({ payload }) => {
    const { payload: one } = fromBinary(ServerEnvelopeSchema, payload);
    return one.case === 'chatMessage' ? [one.value.text] : [];
  });
}

t.test('both sides, in order; a repeat is one message', async (t) => {
  const place = await shared(t);
  const [a, b] = [await stack(t, place), await stack(t, place)];
  const tripId = await assigned(a);
  for (let i = 0; i < 20; i++) {
    const [who, node] = i % 2 ? ([rider, a] as const) : ([driver, b] as const);
    const message = { tripId, messageId: `m${i}`, text: ` text ${i} ` };
    const id = await node.chat.send(who, message);
    t.equal(await a.chat.send(who, message), id, 'the repeat');
    await node.idle();
  }
  t.same(
    await texts(a, tripId),
    Array.from({ length: 20 }, (_, i) => `text ${i}`),
  );
  const both = await Promise.all([
    a.chat.send(rider, { tripId, messageId: 'same', text: 'mine' }),
    b.chat.send(driver, { tripId, messageId: 'same', text: 'yours' }),
  ]);
  t.not(both[0], both[1], 'the ids are each sender’s own');
});

t.test('senders and message ids are told apart whatever they look like, and however long they are', async (t) => {
  const s = await stack(t, await shared(t));
  const tripId = await assigned(s);
  const send = (userId: string, messageId: string) =>
    s.chat.send(person('admin', userId), { tripId, messageId, text: `${userId} says ${messageId}` });
  const sent = [
    ['a', 'b:m'],
    ['a:b', 'm'],
    ['x'.repeat(180), 'm'.repeat(64)],
  ] as const;
  for (const [userId, messageId] of sent) await send(userId, messageId);
  await s.idle();
  t.same(
    await texts(s, tripId),
    sent.map(([userId, messageId]) => `${userId} says ${messageId}`),
  );
});

t.test('one message sent many times at once on two nodes is stored once and seen once', async (t) => {
  const place = await shared(t);
  const [a, b] = [await stack(t, place), await stack(t, place)];
  const tripId = await assigned(a);
  const send = (_: unknown, i: number) => (i % 2 ? a : b).chat.send(rider, { tripId, messageId: 'm', text: 'once' });
  t.equal(new Set(await Promise.all(Array.from({ length: 20 }, send))).size, 1);
  await Promise.all([a.idle(), b.idle()]);
  t.same(await texts(a, tripId), ['once']);
});

t.test('what was stored while Redis did not answer is told by the sweeper', async (t) => {
  const s = await stack(t, await shared(t), { sweepAgeMs: 0 });
  const tripId = await assigned(s);
  // Longer than the live traffic waits.
  await s.redis.call('CLIENT', 'PAUSE', '300', 'WRITE');
  await s.chat.send(rider, { tripId, messageId: 'm', text: 'patience' });
  await until(async () => {
    await s.sweep();
    return (await texts(s, tripId)).length > 0;
  }, 'the message');
  t.same(await texts(s, tripId), ['patience']);
});

t.test('who may not chat, what is no message, and a trip that is over', async (t) => {
  const s = await stack(t, await shared(t));
  const tripId = await assigned(s);
  const send = (who = rider, more = {}) => s.chat.send(who, { tripId, messageId: 'm', text: 'hello', ...more });
  await t.rejects(send(person('rider', 'stranger')), { code: 'RIDE_FORBIDDEN' });
  await t.rejects(send(person('driver', 'stranger')), { code: 'RIDE_FORBIDDEN' });
  await t.rejects(send(rider, { text: '   ' }), { code: 'RIDE_INVALID_INPUT', field: 'text' });
  await t.rejects(send(rider, { text: 'x'.repeat(2001) }), { code: 'RIDE_INVALID_INPUT', field: 'text' });
  await t.rejects(send(rider, { messageId: '' }), { code: 'RIDE_INVALID_INPUT', field: 'message_id' });
  await t.rejects(send(rider, { tripId: 'trip_test_00000000000000000000000000' }), { code: 'RIDE_NOT_FOUND' });
  await send(person('dispatcher', 'desk'));
  await s.trips.command(tripId, { type: 'cancel', actorId: 'rider', role: 'rider' });
  await t.rejects(send(rider, { messageId: 'late' }), { code: 'RIDE_ILLEGAL_TRANSITION' });
  await s.idle();
  t.same(await texts(s, tripId), ['hello'], 'nothing of what was refused is there');
});
