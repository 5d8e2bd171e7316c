/** A passenger and the driver of a departure talk by the booking's id: over every transport and two nodes, and nobody else hears. */
import t from 'tap';
import { openEvents } from '../clients/events.ts';
import type { Message } from '../clients/inbox.ts';
import { connect, type Peer, transports } from '../clients/peer.ts';
import { checkedRest } from '../contracts/answers.ts';
import { twoNodes } from '../properties/two-nodes.ts';
import { bookedDeparture, type Member, member } from '../scene.ts';
import { until } from '../until.ts';
import { isRefused } from './streams.ts';

const [s, other] = await twoNodes(t);
const { rest } = checkedRest(other);

const say = (peer: Peer, booking_id: string, message_id: string, text = message_id): Promise<Message> =>
  peer.ask({ chat_send: { booking_id, message_id, text } });
const follow = (peer: Peer, topic: string, more = {}): Promise<Message> => peer.ask({ subscribe: { topic, ...more } });
const saidOn = (peer: Peer, topic: string): string[] =>
  peer.inbox.all.filter((m) => m.chat_message && m.topic === topic).map((m) => m.chat_message.message_id);
const isOf = (topic: string, id: string) => (m: Message) => m.topic === topic && m.chat_message?.message_id === id;
const history = async (path: string, { token }: Member, query = '') =>
  rest('GET', `/api/v1/${path}/messages${query}`, token);

for (const transport of transports) {
  t.test(`${transport}: both sides, their typing and presence, and strangers who have no part in it`, async (t) => {
    const { id, departureId, driver, passenger, book } = await bookedDeparture(s);
    const topic = `booking:${id}`;
    const [his, hers] = [
      await connect(t, other.at, transport, driver.token),
      await connect(t, s.at, transport, passenger.token),
    ];
    for (const peer of [his, hers]) t.equal((await follow(peer, topic)).subscribed?.topic, topic);
    t.ok((await follow(his, `presence:${passenger.id}`)).subscribed);
    t.ok((await his.next((m) => m.presence?.online, 'she is online')).topic);
    t.ok((await follow(hers, `presence:${driver.id}`)).subscribed);
    t.ok((await say(hers, id, 'm1', 'I have a suitcase')).ack);
    t.ok((await say(hers, id, 'm1', 'I have a suitcase')).ack, 'a repeat is the same message');
    const { chat_message } = await his.inbox.find(isOf(topic, 'm1'), 'her message');
    t.hasStrict(chat_message, { booking_id: id, trip_id: departureId, sender_id: passenger.id, sender_role: 'rider' });
    t.ok((await his.ask({ typing: { booking_id: id, active: true } })).ack);
    t.hasStrict((await hers.next((m) => m.typing_notice, 'he types')).typing_notice, {
      booking_id: id,
      user_id: driver.id,
    });
    t.ok((await say(his, id, 'm2')).ack);
    await hers.inbox.find(isOf(topic, 'm2'), 'his answer');
    t.same(saidOn(hers, topic), ['m1', 'm2']);
    await his.inbox.find(isOf(`user:${driver.id}`, 'm1'), 'hers on his own topic too');

    const neighbour = await member(s, 'rider');
    await book(neighbour);
    const strangers = [neighbour, await member(s, 'rider'), await member(s, 'driver')];
    for (const who of strangers) {
      const peer = await connect(t, s.at, transport, who.token);
      const forbidden = { code: 'RIDE_FORBIDDEN', field: 'booking_id', rule: 'a booking of the caller' };
      isRefused(t, await say(peer, id, 'm3'), forbidden, 'talks');
      isRefused(t, await peer.ask({ typing: { booking_id: id, active: true } }), forbidden, 'types');
      const rule = 'a topic that the caller may follow';
      isRefused(t, await follow(peer, topic), { code: 'RIDE_FORBIDDEN', field: 'topic', rule }, 'follows');
      t.equal((await follow(peer, `presence:${passenger.id}`)).error.code, 'RIDE_FORBIDDEN');
      t.equal((await history(`bookings/${id}`, who)).status, 403);
    }
    const desk = await connect(t, other.at, transport, (await member(s, 'dispatcher')).token);
    t.ok((await follow(desk, topic, { since_offset: '0' })).subscribed);
    t.ok((await say(desk, id, 'm4')).ack);
    for (const peer of [his, hers, desk]) await peer.inbox.find(isOf(topic, 'm4'), 'what the desk says');
    t.same(saidOn(desk, topic), ['m1', 'm2', 'm4']);
    const none = { code: 'RIDE_NOT_FOUND', field: 'booking_id', rule: 'the id of a booking' };
    isRefused(t, await say(hers, 'bkg_none', 'm5'), none, 'of no booking');
    isRefused(t, await follow(hers, 'booking:none'), { ...none, field: 'topic' }, 'of no booking');
    const both = await hers.ask({ chat_send: { booking_id: id, trip_id: departureId, message_id: 'm5', text: 'x' } });
    isRefused(
      t,
      both,
      { code: 'RIDE_INVALID_INPUT', field: 'booking_id', rule: 'left out where trip_id is given' },
      'both',
    );
  });
}

t.test(
  'who is away has it on his own topic, once and in order; who comes back goes on, on the other node',
  async (t) => {
    const { id, driver, passenger } = await bookedDeparture(s);
    const topic = `booking:${id}`;
    const hers = await connect(t, s.at, 'websocket-json', passenger.token);
    t.ok((await follow(hers, topic)).subscribed);
    for (const text of ['a', 'b', 'c']) t.ok((await say(hers, id, text)).ack);
    const { epoch, offset } = await hers.inbox.find(isOf(topic, 'a'), 'the first');
    await hers.inbox.find(isOf(topic, 'c'), 'the third');
    hers.cut();
    const his = await connect(t, other.at, 'grpc', driver.token);
    await his.inbox.find(isOf(`user:${driver.id}`, 'c'), 'what waited for him');
    t.same(saidOn(his, `user:${driver.id}`), ['a', 'b', 'c']);
    await follow(his, topic, { since_offset: '0' });
    for (const text of ['d', 'e']) t.ok((await say(his, id, text)).ack);
    await his.inbox.find(isOf(topic, 'e'), 'the fifth');

    const again = await connect(t, other.at, 'websocket-protobuf', passenger.token);
    const place = { epoch, since_offset: offset };
    t.hasStrict(await follow(again, topic, place), { subscribed: { recovered: true, replayed: 4 } });
    t.same(saidOn(again, topic), ['b', 'c', 'd', 'e']);
    const path = `/api/v1/bookings/${id}/events/stream?since=${epoch}:3`;
    const events = await openEvents(t, s.at.http, path, { authorization: `Bearer ${passenger.token}` });
    await events.next((m) => m.subscribed);
    t.same(
      events.inbox.all.filter((m) => m.chat_message).map((m) => [m.id, m.chat_message.text]),
      [
        [`${epoch}:4`, 'd'],
        [`${epoch}:5`, 'e'],
      ],
    );
    events.close();
    const refused = await openEvents(t, s.at.http, path, {
      authorization: `Bearer ${(await member(s, 'rider')).token}`,
    });
    t.equal(refused.status, 403);
  },
);

t.test('what has ended is read and not added to, and the two stop hearing of each other', async (t) => {
  const { id, driver, passenger, book, step } = await bookedDeparture(s);
  const late = await member(s, 'rider');
  const lateId = await book(late);
  const [his, hers, leaver] = [
    await connect(t, s.at, 'websocket-json', driver.token),
    await connect(t, other.at, 'websocket-json', passenger.token),
    await connect(t, other.at, 'grpc', late.token),
  ];
  const followers = async ({ id: userId }: Member): Promise<string[]> => {
    const admin = await member(s, 'admin');
    const { body } = await s.rest('GET', `/admin/topics/presence:${userId}/members`, admin.token);
    return body.items.map((one: Message) => one.user_id).toSorted();
  };
  for (const { id: userId } of [passenger, late]) t.ok((await follow(his, `presence:${userId}`)).subscribed);
  for (const peer of [hers, leaver]) t.ok((await follow(peer, `presence:${driver.id}`)).subscribed);
  for (const [peer, booking] of [
    [hers, id],
    [leaver, lateId],
  ] as const)
    t.ok((await say(peer, booking, 'm1')).ack);
  t.equal((await s.rest('POST', `/api/v1/bookings/${lateId}/cancel`, late.token)).status, 200);
  const over = { code: 'RIDE_ILLEGAL_TRANSITION', field: 'booking_id', rule: 'a booking that has not ended' };
  for (const peer of [leaver, his]) isRefused(t, await say(peer, lateId, 'm2'), over, 'cancelled');
  await until(async () => (await followers(late)).length === 0, 'the driver to hear of her no more');
  await until(async () => (await followers(driver)).join() === passenger.id, 'and she of him');
  t.same(await followers(passenger), [driver.id], 'nothing has changed for who still travels');

  await step('arrive');
  t.equal((await s.rest('POST', `/api/v1/bookings/${id}/board`, driver.token)).status, 200);
  t.ok((await say(hers, id, 'm2')).ack, 'on board');
  for (const name of ['start', 'complete'] as const) await step(name);
  isRefused(t, await say(hers, id, 'm3'), over, 'completed');
  await until(async () => (await followers(driver)).length + (await followers(passenger)).length === 0, 'all is over');
  t.equal((await follow(his, `presence:${passenger.id}`)).error.code, 'RIDE_FORBIDDEN');
  t.ok((await follow(hers, `booking:${id}`, { since_offset: '0' })).subscribed, 'it can be followed');
  t.same(saidOn(hers, `booking:${id}`), ['m1', 'm2']);
});

t.test('REST: what was said, newest first, by pages, with the cursor from which a stream goes on', async (t) => {
  const { id, departureId, driver, passenger } = await bookedDeparture(s);
  const hers = await connect(t, s.at, 'websocket-json', passenger.token);
  t.same((await history(`bookings/${id}`, driver)).body.items, []);
  await follow(hers, `booking:${id}`);
  for (let n = 1; n <= 5; n++) {
    t.ok((await say(hers, id, `m${n}`)).ack);
    await hers.inbox.find(isOf(`booking:${id}`, `m${n}`), 'it');
  }
  const first = await history(`bookings/${id}`, driver, '?page_size=3');
  const ids = ({ items }: Message): string[] => items.map((m: Message) => m.message_id);
  t.equal(ids(first.body).length, 3);
  const second = await history(`bookings/${id}`, driver, `?page_size=3&page_token=${first.body.next_page_token}`);
  t.same([...ids(first.body), ...ids(second.body)].toSorted(), ['m1', 'm2', 'm3', 'm4', 'm5']);
  const [one] = second.body.items.filter((m: Message) => m.message_id === 'm1');
  t.hasStrict(one, { trip_id: departureId, booking_id: id, sender_id: passenger.id, sender_role: 'rider', text: 'm1' });
  t.match(first.headers.get('topic-position'), /^[\w-]+:5$/);
  t.equal((await history(`bookings/${id}`, await member(s, 'service'))).status, 200);
  t.equal((await history('bookings/bkg_none', driver)).status, 404);
  t.equal((await history(`trips/${departureId}`, driver)).status, 404, 'a departure has no thread of its own');
});

t.end();
