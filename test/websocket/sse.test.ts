/** Server-sent events over a real server: replay, resume on another node, gaps, refusals, heartbeats, drain. */
import t from 'tap';
import { openEvents } from '../clients/events.ts';
import type { Message } from '../clients/inbox.ts';
import { connect } from '../clients/peer.ts';
import { beside, build, type TestScope, type TestServer } from '../helper.ts';
import { assignedRide, member, type Ride } from '../scene.ts';
import { until } from '../until.ts';

const pathOf = (ride: Ride, query = ''): string => `/api/v1/trips/${ride.id}/events/stream${query}`;
const bearer = (token: string, more: Record<string, string> = {}) => ({ authorization: `Bearer ${token}`, ...more });
const listen = (t: TestScope, s: TestServer, ride: Ride, query = '', more: Record<string, string> = {}) =>
  openEvents(t, s.at.http, pathOf(ride, query), bearer(ride.rider.token, more));
const typesOf = (messages: readonly Message[]): string[] =>
  messages.filter((m) => m.trip_event).map((m) => m.trip_event.type);
const secondNode = (t: TestScope, s: TestServer, env: Record<string, string> = {}) =>
  build(t, { env: { ...env, ...beside(s) } });

async function sessionsOf(s: TestServer, namespace: string): Promise<number> {
  const { body } = await s.rest('GET', '/admin/stats', (await member(s, 'admin')).token);
  return body.nodes.find((n: Message) => n.node_id === body.node_id).by_namespace[namespace] ?? 0;
}

/** Events are told behind the answers that they came of: until the trip's topic has so many. */
async function told(s: TestServer, ride: Ride, events: number): Promise<void> {
  const isTold = async (): Promise<boolean> => {
    const { headers } = await s.rest('GET', `/api/v1/trips/${ride.id}`, ride.rider.token);
    return headers.get('topic-position')?.endsWith(`:${events}`) ?? false;
  };
  await until(isTold, `${events} events of the trip`);
}

t.test('a trip from its beginning, then as it happens', async (t) => {
  const s = await build(t);
  const ride = await assignedRide(t, s);
  await told(s, ride, 3);
  const events = await listen(t, s, ride, '?since=:0');
  t.equal(events.status, 200);
  t.match(events.headers['content-type'], /^text\/event-stream/);
  t.match(events.headers['cache-control'], /no-cache/);
  t.equal(events.headers['access-control-allow-origin'], undefined, 'no other origin may read it');
  t.match((await events.next((m) => m.retry > 0)).retry, Number, 'when to come back');

  const subscribed = await events.next((m) => m.subscribed, 'subscribed');
  t.same(typesOf(events.inbox.all), ['requested', 'offered', 'assigned']);
  t.hasStrict(subscribed, { subscribed: { topic: `trip:${ride.id}`, recovered: true, replayed: 3 } });
  const ids = events.inbox.all.filter((m) => m.trip_event).map((m) => m.id);
  const epoch = subscribed.subscribed.epoch;
  t.same(ids, [`${epoch}:1`, `${epoch}:2`, `${epoch}:3`]);
  t.equal(subscribed.id, `${epoch}:3`, 'where the client is now');

  const update = { ...ride.at, recorded_at_ms: Date.now(), trip_id: ride.id };
  await s.rest('POST', '/api/v1/drivers/me/locations', ride.driver.token, { updates: [update] });
  t.hasStrict(await events.next((m) => m.location), { location: { lat: ride.at.lat, driver_id: ride.driver.id } });
  t.equal((await events.next((m) => m.eta_refresh)).eta_refresh.leg, 'pickup');
  await ride.driver.peer.ask({ chat_send: { trip_id: ride.id, message_id: 'm1', text: 'line one\nline two ✓' } });
  const chat = await events.next((m) => m.chat_message);
  t.hasStrict(chat, { chat_message: { text: 'line one\nline two ✓', sender_id: ride.driver.id }, id: `${epoch}:4` });
  await ride.step('arrive');
  t.equal((await events.next((m) => m.trip_event)).trip_event.type, 'driver_arrived');
});

t.test('what REST read goes on by a stream and by a socket, nothing missed and nothing doubled', async (t) => {
  const s = await build(t);
  const ride = await assignedRide(t, s);
  const read = (path: string, { token } = ride.rider) => s.rest('GET', path, token);
  const trip = `/api/v1/trips/${ride.id}`;
  const positionOf = async (path = trip) => (await read(path)).headers.get('topic-position') ?? '';
  // Events are told behind the answers that they came of.
  for (const path of [trip, `${trip}/events`])
    await until(async () => /^[\w-]+:3$/.test(await positionOf(path)), `three events by ${path}`);
  const cursor = await positionOf();
  await ride.step('arrive');
  await until(async () => (await positionOf()).endsWith(':4'), 'the arrival');
  const events = await listen(t, s, ride, `?since=${cursor}`);
  await events.next((m) => m.subscribed);
  t.same(typesOf(events.inbox.all), ['driver_arrived']);
  const [epoch, offset] = cursor.split(':');
  const peer = await connect(t, s.at, 'websocket-json', ride.rider.token);
  const { subscribed } = await peer.ask({
    subscribe: { topic: `trip:${ride.id}`, epoch, since_offset: Number(offset) },
  });
  t.match(subscribed, { recovered: true, replayed: 1 });
  for (const [answer, status] of [
    [await read(trip, await member(s, 'rider')), 403],
    [await read('/api/v1/trips/trip_nobody'), 404],
  ] as const) {
    t.equal(answer.status, status);
    t.equal(answer.headers.get('topic-position'), null, `nothing of the topic to whom it is ${status}`);
  }
});

t.test('a client comes back with its last id, to another node, and misses and doubles nothing', async (t) => {
  const a = await build(t);
  const b = await secondNode(t, a);
  const ride = await assignedRide(t, a);
  await told(a, ride, 3);
  const first = await listen(t, a, ride);
  await first.next((m) => m.subscribed);
  t.same(typesOf(first.inbox.all), [], 'from now on');
  t.match(first.lastEventId(), /^[\w-]+:3$/, 'it knows where it is before anything happened');
  first.close();
  await ride.step('arrive');
  await ride.step('start');
  await ride.driver.peer.inbox.find((m) => m.trip_event?.type === 'started', 'the fifth event');

  const again = await listen(t, b, ride, '', { 'last-event-id': first.lastEventId() });
  const { subscribed } = await again.next((m) => m.subscribed);
  t.hasStrict(subscribed, { recovered: true, replayed: 2 });
  await ride.step('complete');
  await again.next((m) => m.trip_event?.type === 'completed');
  t.same(typesOf(again.inbox.all), ['driver_arrived', 'started', 'completed']);
  again.close();

  const upToDate = await listen(t, b, ride, '?since=ignored:0', { 'last-event-id': again.lastEventId() });
  const { subscribed: nothing } = await upToDate.next((m) => m.subscribed);
  t.equal(nothing.recovered, true, 'the header wins');
  t.equal(nothing.replayed, undefined, 'none');
});

t.test('what is no longer kept is a gap, and never a part of it', async (t) => {
  const s = await build(t, { env: { HISTORY_LENGTH: '2' } });
  const ride = await assignedRide(t, s);
  await ride.step('arrive');
  await ride.driver.peer.inbox.find((m) => m.trip_event?.type === 'driver_arrived', 'the fourth event');
  const beginning = await listen(t, s, ride, '?since=:0');
  const { gap, id } = await beginning.next((m) => m.gap, 'gap');
  t.equal(gap.recovered, undefined, 'false is left out of protobuf JSON');
  t.hasStrict(gap, { topic: `trip:${ride.id}`, offset: '4' });
  const state = await beginning.next((m) => m.trip_event, 'how the trip stands');
  t.hasStrict(state.trip_event, { type: 'driver_arrived', seq: '4' });
  t.notOk('id' in state, 'it is no part of what was missed');
  const otherEpoch = await listen(t, s, ride, '?since=lost:3');
  t.equal((await otherEpoch.next((m) => m.gap, 'gap')).id, id);
  await ride.step('start');
  const live = await otherEpoch.next((m) => m.trip_event && m.id, 'what happens after a gap');
  t.equal(live.trip_event.type, 'started');
  const resumed = await listen(t, s, ride, `?since=${id}`);
  t.hasStrict(await resumed.next((m) => m.subscribed), { subscribed: { recovered: true, replayed: 1 } });
});

t.test('who may not follow is told before the stream begins', async (t) => {
  const s = await build(t);
  const ride = await assignedRide(t, s);
  const stranger = await member(s, 'rider');
  const refusal = async (headers: Record<string, string>, path = pathOf(ride)) => {
    const answer = await openEvents(t, s.at.http, path, headers);
    t.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8');
    return [answer.status, (await answer.problem()).code];
  };
  t.same(await refusal({}), [401, 'RIDE_UNAUTHENTICATED']);
  t.same(await refusal(bearer('x.y.z')), [401, 'RIDE_UNAUTHENTICATED']);
  t.same(await refusal(bearer(stranger.token)), [403, 'RIDE_FORBIDDEN']);
  const elsewhere = '/api/v1/trips/trip_test_none/events/stream';
  t.same(await refusal(bearer(ride.rider.token), elsewhere), [404, 'RIDE_NOT_FOUND']);
  for (const id of ['7', 'a b:7', 'e:-1', `${'e'.repeat(65)}:1`]) {
    t.same(await refusal(bearer(ride.rider.token, { 'last-event-id': id })), [400, 'RIDE_INVALID_INPUT'], id);
  }
  const noEpoch = await openEvents(t, s.at.http, pathOf(ride, '?since=0'), bearer(ride.rider.token));
  t.hasStrict(await noEpoch.problem(), {
    field: 'since',
    detail: 'since must be <epoch>:<offset>, the id of an event; :0 is the beginning',
  });
  const head = await fetch(`http://${s.at.http}${pathOf(ride)}`, { method: 'HEAD', headers: bearer(ride.rider.token) });
  t.equal(head.status, 405, 'there is no head without a stream');
  t.equal(await sessionsOf(s, 'sse'), 0, 'none of them became a session');

  const byQuery = await openEvents(t, s.at.http, pathOf(ride, `?access_token=${ride.rider.token}`));
  t.ok((await byQuery.next((m) => m.subscribed)).subscribed.recovered, 'as EventSource has to');
  const driver = await openEvents(t, s.at.http, pathOf(ride), bearer(ride.driver.token));
  t.ok((await driver.next((m) => m.subscribed)).subscribed);
  t.equal(await sessionsOf(s, 'sse'), 2);
  byQuery.close();
  driver.close();
  await until(async () => (await sessionsOf(s, 'sse')) === 0, 'the sessions to end with their connections');
});

t.test('a silent listener is kept by comments, and dropped with its token', async (t) => {
  const s = await build(t, { env: { HEARTBEAT_INTERVAL: '100ms', HEARTBEAT_TIMEOUT: '300ms' } });
  const rider = await member(s, 'rider');
  const trip = await s.rest('POST', '/api/v1/trips', rider.token, {
    pickup: { lat: 1, lng: 1 },
    dropoff: { lat: 1.01, lng: 1 },
  });
  const events = await openEvents(t, s.at.http, `/api/v1/trips/${trip.body.id}/events/stream`, bearer(rider.token));
  await events.next((m) => m.subscribed);
  await until(() => events.comments() >= 4, 'four comments, more than three timeouts');
  t.equal(await sessionsOf(s, 'sse'), 1);

  const { app } = s.server;
  const short = app.signToken(
    { userId: rider.id, role: 'rider', city: 'x', vehicleClass: 'standard', premium: false },
    3000,
  );
  const ending = await openEvents(t, s.at.http, `/api/v1/trips/${trip.body.id}/events/stream?access_token=${short}`);
  const { closed } = await ending.next((m) => m.closed, 'closed');
  t.equal(closed.code, 'RIDE_TOKEN_EXPIRED');
  await ending.ended;
  t.equal(await sessionsOf(s, 'sse'), 1, 'the other listens on');
});

t.test('a drain tells when to come back, and ends the stream', async (t) => {
  const s = await build(t, { env: { DRAIN_JITTER: '300ms' } });
  const ride = await assignedRide(t, s);
  const events = await listen(t, s, ride);
  await events.next((m) => m.subscribed);
  const stopped = s.stop();
  const { go_away, retry } = await events.next((m) => m.go_away, 'go_away');
  t.equal(go_away.reason, 'draining');
  t.equal(retry, Number(go_away.reconnect_after_ms));
  const { closed } = await events.next((m) => m.closed, 'closed');
  t.hasStrict(closed, { code: 'RIDE_DRAINING', retryable: true });
  await events.ended;
  await stopped;
});
