/** Someone else's trip: not to be read, followed, driven, located or talked in, on any transport; and the attempt changes nothing. */
import t from 'tap';
import { openEvents } from '../clients/events.ts';
import type { Message } from '../clients/inbox.ts';
import { connect, type Peer, transports } from '../clients/peer.ts';
import { build } from '../helper.ts';
import {
  assignedRide,
  bookedDeparture,
  lookingDriver,
  type Member,
  member,
  north,
  offeredRide,
  somewhere,
} from '../scene.ts';
import { isRefused, livesOn, type Refusal } from './streams.ts';

const s = await build(t);

const OWN = 'a trip of the caller';
const forbidden = (field: string, rule = OWN): Refusal => ({ code: 'RIDE_FORBIDDEN', field, rule });
const MAY_FOLLOW = 'a topic that the caller may follow';

type Attempt = [name: string, message: Message, refusal: Refusal];

const ofAnyone = (id: string): Attempt[] => [
  ['follows', { subscribe: { topic: `trip:${id}`, since_offset: 0 } }, forbidden('topic', MAY_FOLLOW)],
  ['follows as an order', { subscribe: { topic: `order:${id}` } }, forbidden('topic', MAY_FOLLOW)],
  ['talks', { chat_send: { trip_id: id, message_id: 'm1', text: 'let me in' } }, forbidden('trip_id')],
  ['types', { typing: { trip_id: id, active: true } }, forbidden('trip_id')],
];

const place = { lat: 1, lng: 2, recorded_at_ms: Date.now() };

const ofDrivers = (id: string, offerId: string): Attempt[] => [
  [
    'says where he is',
    { location_update: { ...place, trip_id: id } },
    forbidden('trip_id', 'a trip that is assigned to the caller'),
  ],
  [
    'hides it in a batch',
    { location_batch: { updates: [place, { ...place, trip_id: id }, place] } },
    forbidden('updates[1].trip_id', 'a trip that is assigned to the caller'),
  ],
  ['arrives', { ride_status: { status: 'STATUS_ARRIVED', trip_id: id } }, forbidden('trip_id')],
  ['completes', { ride_status: { status: 'STATUS_COMPLETED', trip_id: id } }, forbidden('trip_id')],
  [
    'takes the offer',
    { offer_reply: { trip_id: id, offer_id: offerId, accept: true } },
    { code: 'RIDE_OFFER_CLOSED', field: 'offer_id', rule: 'an open offer to the caller' },
  ],
  [
    'declines the offer',
    { offer_reply: { trip_id: id, offer_id: offerId } },
    { code: 'RIDE_OFFER_CLOSED', field: 'offer_id', rule: 'an open offer to the caller' },
  ],
];

for (const transport of transports) {
  t.test(`${transport}: a stranger`, async (t) => {
    const ride = await assignedRide(t, s);
    const before = await ride.read();
    for (const role of ['rider', 'driver']) {
      const stranger = await member(s, role);
      const peer = await connect(t, s.at, transport, stranger.token);
      const attempts = [...ofAnyone(ride.id), ...(role === 'driver' ? ofDrivers(ride.id, 'ofr_x') : [])];
      const others: Attempt[] = [
        ['follows another user', { subscribe: { topic: `user:${ride.rider.id}` } }, forbidden('topic', MAY_FOLLOW)],
        ['follows a city', { subscribe: { topic: 'city:testville' } }, forbidden('topic', MAY_FOLLOW)],
        ['follows alarms', { subscribe: { topic: 'sos:alerts' } }, forbidden('topic', MAY_FOLLOW)],
      ];
      if (role === 'rider')
        others.push([
          'follows a zone',
          { subscribe: { topic: 'zone:872a1072cffffff' } },
          forbidden('topic', MAY_FOLLOW),
        ]);
      for (const [name, message, refusal] of [...attempts, ...others]) {
        isRefused(t, await peer.ask(message), refusal, `${role} ${name}`);
        await livesOn(t, peer, `${role} ${name}`);
      }
      const cry = { sos_trigger: { trip_id: ride.id, note: 'help' } };
      t.ok((await peer.ask(cry)).ack, `${role} is heard in an emergency, whatever trip he names`);
      if (role === 'driver') {
        const me = await s.rest('GET', '/api/v1/drivers/me', stranger.token);
        t.hasStrict(me.body, { status: 'offline', active_trip_id: null }, 'the stranger took nothing');
      }
    }
    t.same(await ride.read(), before, 'the trip is as it was');
    await nothingLeft(t, ride.id);
  });
}

/** Neither chat nor a position of the trip, whoever looks. */
async function nothingLeft(t: Parameters<typeof livesOn>[0], id: string): Promise<void> {
  const operator = await member(s, 'admin');
  const watcher = await connect(t, s.at, 'websocket-json', operator.token);
  const { subscribed } = await watcher.ask({ subscribe: { topic: `trip:${id}`, since_offset: '0' } });
  t.equal(subscribed.recovered, true);
  const kinds = new Set(watcher.inbox.all.filter((m) => m.topic === `trip:${id}`).map((m) => Object.keys(m).at(-1)));
  t.same([...kinds], ['trip_event'], 'only its own events');
  const position = await s.rest('GET', `/api/v1/trips/${id}/location`, operator.token);
  t.equal(position.status, 404, 'no position');
  const near = await s.rest('GET', '/api/v1/drivers/nearby?lat=1&lng=2&radius_m=1000', operator.token);
  t.same(near.body.items, [], 'nobody where the stranger claimed to be');
}

t.test('an open offer is for its driver alone', async (t) => {
  const ride = await offeredRide(t, s);
  const stranger = await lookingDriver(t, s, somewhere(), 'grpc');
  const unknown = await member(s, 'driver');
  const before = await ride.read();
  const closed = { code: 'RIDE_OFFER_CLOSED', field: 'offer_id', rule: 'an open offer to the caller' };
  for (const accept of [true, false]) {
    const reply = { offer_reply: { trip_id: ride.id, offer_id: ride.offerId, accept } };
    isRefused(t, await stranger.peer.ask(reply), closed, `stream, accept ${accept}`);
    for (const driver of [stranger, unknown]) {
      const path = `/api/v1/trips/${ride.id}/offers/${ride.offerId}/${accept ? 'accept' : 'reject'}`;
      const answer = await s.rest('POST', path, driver.token);
      t.equal(answer.status, 409, path);
      t.hasStrict(answer.body, closed, path);
    }
  }
  const none = await s.rest('POST', '/api/v1/trips/trip_x/offers/ofr_x/accept', unknown.token);
  t.equal(none.status, 404, 'a trip that is none');
  t.same(await ride.read(), before, 'the trip is as it was');
  const me = await s.rest('GET', '/api/v1/drivers/me', stranger.token);
  t.hasStrict(me.body, { status: 'looking', active_trip_id: null }, 'and the stranger is still free');
  const accepted = await s.rest('POST', `/api/v1/trips/${ride.id}/offers/${ride.offerId}/accept`, ride.driver.token);
  t.equal(accepted.status, 200, 'its driver takes it');
});

t.test('REST: a stranger', async (t) => {
  const ride = await assignedRide(t, s);
  const before = await ride.read();
  const rider = await member(s, 'rider');
  const driver = await member(s, 'driver');
  const trip = `/api/v1/trips/${ride.id}`;
  const attempts: [Member, string, string, unknown][] = [];
  for (const who of [rider, driver]) {
    for (const read of ['', '/events', '/location']) attempts.push([who, 'GET', `${trip}${read}`, undefined]);
    attempts.push([who, 'POST', `${trip}/cancel`, { reason: 'mine' }]);
  }
  for (const step of ['arrive', 'start', 'complete']) attempts.push([driver, 'POST', `${trip}/${step}`, undefined]);
  for (const [who, method, path, body] of attempts) {
    const answer = await s.rest(method, path, who.token, body);
    t.equal(answer.status, 403, `${who.id}: ${method} ${path}`);
    t.hasStrict(answer.body, { code: 'RIDE_FORBIDDEN', field: 'trip_id', rule: OWN }, path);
  }
  const updates = [place, { ...place, trip_id: ride.id }];
  const located = await s.rest('POST', '/api/v1/drivers/me/locations', driver.token, { updates });
  t.equal(located.status, 403);
  t.hasStrict(located.body, { code: 'RIDE_FORBIDDEN', field: 'updates[1].trip_id' });
  for (const who of [rider, driver]) {
    for (const filter of ['', `?rider_id=${ride.rider.id}`, `?driver_id=${ride.driver.id}`]) {
      t.same((await s.rest('GET', `/api/v1/trips${filter}`, who.token)).body.items, [], `list${filter}`);
    }
  }
  t.same(await ride.read(), before, 'the trip is as it was');
  await nothingLeft(t, ride.id);
});

t.test('a driver who gave the trip up is a stranger to it', async (t) => {
  const ride = await assignedRide(t, s);
  const { peer } = ride.driver;
  const here = { ...north(ride.at, 10), recorded_at_ms: Date.now(), trip_id: ride.id };
  t.ok((await peer.ask({ location_update: here })).ack);
  await peer.ask({ subscribe: { topic: `trip:${ride.id}` } });
  t.equal((await s.rest('POST', `/api/v1/trips/${ride.id}/cancel`, ride.driver.token)).body.status, 'requested');
  await peer.inbox.find((m) => m.trip_event?.type === 'driver_cancelled' && m.topic === `user:${ride.driver.id}`);
  const again = { ...here, recorded_at_ms: Date.now() };
  isRefused(
    t,
    await peer.ask({ location_update: again }),
    forbidden('trip_id', 'a trip that is assigned to the caller'),
    'says where he is',
  );
  isRefused(
    t,
    await peer.ask({ chat_send: { trip_id: ride.id, message_id: 'm', text: 'sorry' } }),
    forbidden('trip_id'),
    'talks',
  );
  t.equal((await s.rest('GET', `/api/v1/trips/${ride.id}`, ride.driver.token)).status, 403, 'nor reads');
  const where = await s.rest('GET', `/api/v1/trips/${ride.id}/location`, ride.rider.token);
  t.equal(where.status, 404, 'and where he is no longer concerns the rider');
});

t.test(
  'who takes a trip over hears what is said from then on, on every transport; who gave it up hears no more',
  async (t) => {
    const ride = await assignedRide(t, s);
    const topic = `trip:${ride.id}`;
    const path = `/api/v1/trips/${ride.id}`;
    const rider = await connect(t, s.at, 'websocket-json', ride.rider.token);
    await rider.ask({ subscribe: { topic } });
    const say = async (peer: Peer, message_id: string): Promise<void> => {
      t.ok((await peer.ask({ chat_send: { trip_id: ride.id, message_id, text: `of ${message_id}` } })).ack, message_id);
      await rider.inbox.find((m) => m.chat_message?.message_id === message_id, message_id);
    };
    const listen = (who: Member) =>
      openEvents(t, s.at.http, `${path}/events/stream?since=:0`, { authorization: `Bearer ${who.token}` });
    const said = async (who: Member): Promise<string[]> => {
      const { body } = await s.rest('GET', `${path}/messages`, who.token);
      return body.items.map((m: Message) => m.message_id).reverse();
    };
    const heardBy = (all: readonly Message[]): string[] =>
      all.filter((m) => m.chat_message).map((m) => m.chat_message.message_id);

    await say(ride.driver.peer, 'former-1');
    await say(rider, 'rider-1');
    const formerEvents = await listen(ride.driver);
    await formerEvents.next((m) => m.subscribed);
    const next = await lookingDriver(t, s, ride.at);
    t.equal((await s.rest('POST', `${path}/cancel`, ride.driver.token)).body.status, 'requested');
    const { job_offer } = await next.peer.inbox.find((m) => m.job_offer?.trip_id === ride.id, 'the offer');
    const asked = await Promise.all(transports.map((transport) => connect(t, s.at, transport, next.token)));
    for (const peer of asked) t.ok((await peer.ask({ subscribe: { topic, since_offset: '0' } })).subscribed);
    await say(rider, 'rider-2');
    t.equal((await s.rest('POST', `${path}/offers/${job_offer.offer_id}/accept`, next.token)).status, 200);
    await say(rider, 'rider-3');
    await say(next.peer, 'next-1');

    const his = ['rider-3', 'next-1'];
    const late = await Promise.all(transports.map((transport) => connect(t, s.at, transport, next.token)));
    for (const peer of late) t.ok((await peer.ask({ subscribe: { topic, since_offset: '0' } })).subscribed);
    for (const peer of [...asked, ...late]) {
      await peer.inbox.find((m) => m.chat_message?.message_id === 'next-1', 'the last');
      t.same(heardBy(peer.inbox.all), his, `${peer.transport}: only his own`);
      const offsets = peer.inbox.all.filter((m) => m.topic === topic && m.offset).map((m) => Number(m.offset));
      t.same(
        offsets,
        Array.from(offsets, (_, i) => i + 1),
        `${peer.transport}: and no hole`,
      );
      t.notMatch(JSON.stringify(peer.inbox.all), /of (former|rider-[12])/, 'nor a word of the others anywhere');
    }
    const events = await listen(next);
    await events.next((m) => m.subscribed);
    t.same(heardBy(events.inbox.all), his, 'nor by server-sent events');
    t.same(await said(next), his, 'nor by REST');
    const all = ['former-1', 'rider-1', 'rider-2', ...his];
    t.same(await said(ride.rider), all, 'the rider reads all');
    t.same(await said(await member(s, 'dispatcher')), all, 'and so do operators');

    t.equal((await formerEvents.next((m) => m.closed, 'the end')).closed.code, 'RIDE_FORBIDDEN');
    t.same(heardBy(formerEvents.inbox.all), ['former-1', 'rider-1'], 'who gave it up heard nothing more');
    t.equal((await listen(ride.driver)).status, 403, 'nor may he listen again');
    t.equal((await s.rest('GET', `${path}/messages`, ride.driver.token)).status, 403, 'or read what he said himself');
  },
);

t.test('a passenger who lost his seats hears no more of the departure, by whatever he listens', async (t) => {
  const { id, departureId, passenger, book } = await bookedDeparture(s);
  const stays = await member(s, 'rider');
  await book(stays);
  const listen = (who: Member) =>
    openEvents(t, s.at.http, `/api/v1/trips/${departureId}/events/stream`, { authorization: `Bearer ${who.token}` });
  const [his, hers] = [await listen(passenger), await listen(stays)];
  for (const events of [his, hers]) await events.next((m) => m.subscribed);
  const cancelled = await s.rest('POST', `/api/v1/bookings/${id}/cancel`, passenger.token);
  t.equal(cancelled.status, 200);
  t.equal((await his.next((m) => m.closed, 'the end')).closed.code, 'RIDE_FORBIDDEN');
  await book(await member(s, 'rider'));
  const isBooked = (m: Message) => m.trip_event?.type === 'booked';
  await hers.inbox.find(isBooked, 'what happens next, for who still has a seat');
  t.notOk(his.inbox.all.find(isBooked));
});

t.test('a driver who let an offer pass hears no more of the trip', async (t) => {
  const ride = await offeredRide(t, s);
  const topic = `trip:${ride.id}`;
  const peers = await Promise.all(transports.map((transport) => connect(t, s.at, transport, ride.driver.token)));
  for (const peer of peers)
    t.ok((await peer.ask({ subscribe: { topic } })).subscribed, 'while it is offered he may look');
  const path = `/api/v1/trips/${ride.id}/offers/${ride.offerId}/reject`;
  t.equal((await s.rest('POST', path, ride.driver.token)).status, 204);
  const rider = await connect(t, s.at, 'websocket-json', ride.rider.token);
  await rider.ask({ subscribe: { topic, since_offset: '0' } });
  await rider.inbox.find((m) => m.trip_event?.type === 'offer_declined');
  t.ok((await rider.ask({ chat_send: { trip_id: ride.id, message_id: 'm', text: 'is anyone coming?' } })).ack);
  await rider.inbox.find((m) => m.chat_message, 'chat');
  for (const peer of peers) {
    await livesOn(t, peer, peer.transport);
    t.notOk(
      peer.inbox.all.some((m) => m.chat_message || m.trip_event?.type === 'offer_declined'),
      `${peer.transport}: nothing came`,
    );
    isRefused(t, await peer.ask({ subscribe: { topic } }), forbidden('topic', MAY_FOLLOW), 'nor may he follow again');
    const own = { unsubscribe: { topic: `user:${ride.driver.id}` } };
    const rule = 'another topic than the caller’s own, which every session follows';
    isRefused(t, await peer.ask(own), { code: 'RIDE_INVALID_INPUT', field: 'topic', rule }, 'his own topic stays');
  }
});

t.test('once it is over: no more chat, no more positions', async (t) => {
  const ride = await assignedRide(t, s);
  for (const step of ['arrive', 'start', 'complete'] as const) await ride.step(step);
  const over = { code: 'RIDE_ILLEGAL_TRANSITION', field: 'trip_id', rule: /^a trip that/ };
  const { peer } = ride.driver;
  isRefused(t, await peer.ask({ location_update: { ...place, trip_id: ride.id } }), over, 'position');
  isRefused(t, await peer.ask({ chat_send: { trip_id: ride.id, message_id: 'm', text: 'bye' } }), over, 'chat');
  t.ok((await peer.ask({ ride_status: { status: 'STATUS_COMPLETED', trip_id: ride.id } })).ack, 'a repeat is no error');
  const step = { ride_status: { status: 'STATUS_STARTED', trip_id: ride.id } };
  isRefused(t, await peer.ask(step), { code: 'RIDE_ILLEGAL_TRANSITION', field: '', rule: '' }, 'step back');
});
t.end();
