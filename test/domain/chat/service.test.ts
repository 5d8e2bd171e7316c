/** Chat over a real store and a real Redis: stored before anyone sees it, in order, a repeat is the same message. */
import { fromBinary } from '@bufbuild/protobuf';
import t from 'tap';
import { ServerEnvelopeSchema } from '../../../src/realtime/generated/ride/v1/ride_pb.js';
import { until } from '../../until.ts';
import { CENTER, manualClock, near, onDuty, person, request, type Stack, shared, stack } from '../stack.ts';

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

/** A seat of a departure that is to leave in a minute. */
async function booked(s: Stack, passengerId = 'rider'): Promise<string> {
  const journey = { pickup: CENTER, dropoff: near(20_000), city: 'testville', departureTime: s.clock.now() + 700_000 };
  const input = { ...journey, driverId: 'driver', seats: 3, seatFareMinor: 700, vehicleClass: 'standard' as const };
  const { departure } = await s.departures.publish(driver, input);
  return (await s.bookings.book(departure.id, { passengerId, seats: 1 })).booking.id;
}

/** Texts of the trip's topic, or of another, in order. */
async function texts(s: Stack, tripId: string, topic = `trip:${tripId}`): Promise<string[]> {
  const { messages } = await s.bus.history(topic, { epoch: '', offset: 0 }, 1000);
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

t.test('who is given a trip reads what was said since, whatever the clocks of the nodes say', async (t) => {
  const clock = manualClock();
  const place = await shared(t, clock);
  const a = await stack(t, place);
  const apart = (ms: number) => stack(t, { ...place, clock: manualClock(clock.now() + ms) }, { queues: a.queues });
  const [ahead, behind] = [await apart(60_000), await apart(-60_000)];
  const tripId = await assigned(a);
  const say = (s: Stack, text: string) => s.chat.send(rider, { tripId, messageId: text, text });
  const read = async (userId: string) =>
    (await a.chat.history(person('driver', userId), { tripId }, { pageSize: 10 })).items.map(({ text }) => text).sort();
  await say(ahead, 'to the first');
  t.same(await read('driver'), ['to the first']);
  await a.trips.command(tripId, { type: 'cancel', actorId: 'driver', role: 'driver' });
  await say(ahead, 'to nobody');
  await onDuty(a, 'next');
  await a.dispatch.match(tripId);
  await until(async () => (await a.trips.find(tripId))?.offer?.driverId === 'next', 'the offer');
  await a.dispatch.accept(tripId, (await a.trips.find(tripId))!.offer!.id, 'next');
  await say(behind, 'to the next');
  await say(ahead, 'to him too');
  t.same(await read('next'), ['to him too', 'to the next']);
  t.equal((await a.chat.history(rider, { tripId }, { pageSize: 10 })).items.length, 4, 'its rider reads all');
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

t.test(
  'of a booking: two nodes at once, one order for all, each message once, on the topics of those it is for',
  async (t) => {
    const place = await shared(t);
    const [a, b] = [await stack(t, place), await stack(t, place)];
    const bookingId = await booked(a);
    const all = Array.from({ length: 40 }, (_, i) => `m${i}`);
    await Promise.all(
      all.flatMap((text, i) => {
        const message = { bookingId, messageId: text, text };
        // Each is sent to both nodes by its sender.
        return [a, b].map((node) => node.chat.send(i % 2 ? rider : driver, message));
      }),
    );
    await Promise.all([a.idle(), b.idle()]);
    const order = await texts(a, '', `booking:${bookingId}`);
    t.same(order.toSorted(), all.toSorted());
    const of = (parity: number) => all.filter((_, i) => i % 2 === parity).toSorted();
    t.same((await texts(a, '', 'user:rider')).toSorted(), of(0), 'what the driver said');
    t.same((await texts(a, '', 'user:driver')).toSorted(), of(1), 'what the passenger said');
    t.same(
      await a.chat.history(rider, { bookingId }, { pageSize: 100 }),
      await b.chat.history(driver, { bookingId }, { pageSize: 100 }),
    );
  },
);

t.test('of a booking: a node that dies before it told who is away leaves that to another', async (t) => {
  const place = await shared(t);
  const living = await stack(t, place, { sweepAgeMs: 0 });
  const dying = await stack(t, place, {
    wrapPorts: (ports) => ({
      ...ports,
      publisher: {
        ...ports.publisher,
        async publishOrdered(topic, ...more) {
          if (topic.startsWith('user:') && more[0] === 'chat_message') throw new Error('killed');
          return ports.publisher.publishOrdered(topic, ...more);
        },
      },
    }),
  });
  const bookingId = await booked(living);
  await dying.chat.send(rider, { bookingId, messageId: 'm', text: 'are you there?' });
  await dying.idle();
  t.same(await texts(living, '', `booking:${bookingId}`), ['are you there?']);
  t.same(await texts(living, '', 'user:driver'), []);
  await until(async () => {
    await living.sweep();
    return (await texts(living, '', 'user:driver')).length > 0;
  }, 'the message');
  await living.idle();
  t.same(await texts(living, '', 'user:driver'), ['are you there?']);
  t.same(await texts(living, '', `booking:${bookingId}`), ['are you there?'], 'once');
});

t.test('of a booking: for its passenger, its driver and operators, newest first, until it ends', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  const bookingId = await booked(s);
  const send = (who = rider, more = {}) => s.chat.send(who, { bookingId, messageId: 'm', text: 'hello', ...more });
  const { departure } = (await s.bookings.any(bookingId))!;
  await s.bookings.book(departure.id, { passengerId: 'neighbour', seats: 1 });
  for (const userId of ['neighbour', 'stranger']) {
    await t.rejects(send(person('rider', userId)), { code: 'RIDE_FORBIDDEN', field: 'booking_id' });
    const who = person('rider', userId);
    await t.rejects(s.chat.history(who, { bookingId }, { pageSize: 5 }), { code: 'RIDE_FORBIDDEN' });
    await t.rejects(s.chat.typing(who, { bookingId }, true), { code: 'RIDE_FORBIDDEN' });
    t.equal(await s.presence.mayFollow(who, 'rider'), false);
  }
  await t.rejects(send(rider, { bookingId: 'bkg_none' }), { code: 'RIDE_NOT_FOUND', field: 'booking_id' });
  await t.rejects(send(rider, { tripId: departure.id }), { code: 'RIDE_INVALID_INPUT', field: 'booking_id' });
  await t.rejects(send(rider, { bookingId: '', tripId: departure.id }), { code: 'RIDE_NOT_FOUND', field: 'trip_id' });
  for (const [i, role] of (['admin', 'dispatcher', 'service'] as const).entries()) {
    clock.add(10);
    await send(person(role, 'desk'), { messageId: `o${i}` });
  }
  for (const [who, other] of [
    [rider, 'driver'],
    [driver, 'rider'],
    [driver, 'neighbour'],
  ] as const)
    t.equal(await s.presence.mayFollow(who, other), true, `${who.userId} of ${other}`);

  clock.add(700_000);
  await s.departures.arrive(driver, departure.id);
  await s.bookings.attend('driver', bookingId, 'no_show');
  const ended = { code: 'RIDE_ILLEGAL_TRANSITION', field: 'booking_id', facts: { status: 'no_show' } };
  await t.rejects(send(rider, { messageId: 'late' }), ended);
  await t.rejects(send(driver, { messageId: 'late' }), ended);
  t.equal(await s.presence.mayFollow(rider, 'driver'), false);
  const first = await s.chat.history(rider, { bookingId }, { pageSize: 2 });
  const second = await s.chat.history(driver, { bookingId }, { pageSize: 2, pageToken: first.nextPageToken });
  t.same(
    [...first.items, ...second.items].map(({ messageId }) => messageId),
    ['o2', 'o1', 'o0'],
  );
});
