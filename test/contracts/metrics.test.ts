/** The documents' metrics are on the metrics port, with their labels, and they count what happened. */
import { readdir, readFile } from 'node:fs/promises';
import t from 'tap';
import { connectRedis } from '../../src/adapters/redis/connection.ts';
import { parseMetrics, readMetrics, type Sample, sum } from '../clients/metrics.ts';
import { connect, openGrpc, openWebSocket, resuming } from '../clients/peer.ts';
import { firstDelivery } from '../e2e/first-delivery.ts';
import { firstDeparture } from '../e2e/first-departure.ts';
import { build } from '../helper.ts';
import { assignedRide, member, north, offeredRide, requestedTrip, somewhere } from '../scene.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';

const s = await build(t, { env: { SURGE_INTERVAL: '1s', PRESENCE_GRACE: '100ms' } });
const read = (): Promise<Sample[]> => readMetrics(s.at.metrics);

/** What grew between two readings. */
const grown = (before: Sample[], after: Sample[], name: string, labels = {}): number =>
  sum(after, name, labels) - sum(before, name, labels);

t.test('sessions and messages, by namespace and event', async (t) => {
  const before = await read();
  const peers = [];
  for (const [path, role] of [
    ['/ws', 'rider'],
    ['/ws/client', 'rider'],
    ['/ws/driver', 'driver'],
    ['/ws/admin', 'admin'],
  ] as const)
    peers.push(await connect(t, s.at, 'websocket-json', (await member(s, role)).token, { path }));
  const driver = await member(s, 'driver');
  const grpc = await connect(t, s.at, 'grpc', driver.token);
  const open = await read();
  t.equal(grown(before, open, 'ride_stream_active_sessions'), 5);
  for (const namespace of ['ws', 'client', 'porter', 'admin', 'grpc'])
    t.equal(grown(before, open, 'realtime_active_connections', { namespace }), 1, namespace);

  for (let n = 0; n < 3; n++) await grpc.ask({ heartbeat: {} });
  for (let n = 0; n < 2; n++) await grpc.ask({ location_update: { ...somewhere(), recorded_at_ms: Date.now() } });
  await grpc.ask({ location_update: { lat: 91, lng: 0, recorded_at_ms: Date.now() } });
  await grpc.ask({ location_update: { ...somewhere(), recorded_at_ms: 1 } });
  await grpc.ask({});
  const after = await read();
  const received = (event: string) =>
    grown(open, after, 'realtime_messages_received_total', { namespace: 'grpc', event });
  const sent = (event: string) => grown(open, after, 'realtime_messages_sent_total', { namespace: 'grpc', event });
  t.equal(received('heartbeat'), 3);
  t.equal(received('location_update'), 4);
  t.equal(received('unknown'), 1, 'what is of no known kind has a label of ours and not of the client');
  t.equal(sent('ack'), 6);
  t.equal(sent('error'), 2);
  t.equal(grown(open, after, 'realtime_location_updates_total'), 2, 'neither the refused nor the late one');
  t.equal(grown(open, after, 'ride_stream_latency_seconds_count', { event: 'heartbeat' }), 3);
  t.ok(grown(open, after, 'ride_stream_latency_seconds_sum') > 0);

  if (process.platform === 'linux')
    t.ok(sum(after, 'process_open_fds') >= sum(after, 'ride_stream_active_sessions'), 'counted without being listed');
  t.notOk(
    after.some(({ name }) => name.startsWith('nodejs_active_')),
    'nothing is listed connection by connection',
  );

  for (const peer of [...peers, grpc]) peer.cut();
  await until(async () => grown(before, await read(), 'ride_stream_active_sessions') === 0, 'the gauge to fall');
  const closed = await read();
  for (const namespace of ['ws', 'client', 'porter', 'admin', 'grpc'])
    t.equal(grown(before, closed, 'realtime_active_connections', { namespace }), 0, `${namespace}: none left`);
});

t.test('fan-out, from publishing to the queues of this node', async (t) => {
  const ride = await assignedRide(t, s);
  const peer = await connect(t, s.at, 'websocket-json', ride.rider.token);
  await peer.ask({ subscribe: { topic: `trip:${ride.id}` } });
  const before = await read();
  const { peer: driver } = ride.driver;
  const here = { ...north(ride.at, 20), recorded_at_ms: Date.now(), trip_id: ride.id };
  await driver.ask({ location_update: here });
  await peer.inbox.find((m) => m.location, 'location');
  const after = await read();
  const count = grown(before, after, 'realtime_fanout_latency_seconds_count');
  t.ok(count >= 1, `${count} were measured`);
  const seconds = grown(before, after, 'realtime_fanout_latency_seconds_sum');
  t.ok(seconds >= 0 && seconds < 10 * count, `in seconds and not in milliseconds: ${seconds}`);
  t.equal(grown(before, after, 'realtime_messages_sent_total', { namespace: 'ws', event: 'location' }), 1);
});

t.test('refused sign-ins, by reason, wherever they happen', async (t) => {
  const before = await read();
  await s.rest('GET', '/api/v1/trips');
  await s.rest('GET', '/api/v1/trips', 'rubbish');
  await openGrpc(s.at, 'rubbish').ended;
  await openWebSocket(s.at, 'websocket-json', undefined).catch(() => {});
  const after = await read();
  const failed = (reason: string) => grown(before, after, 'realtime_authentication_errors_total', { reason });
  t.equal(failed('missing'), 2);
  t.equal(failed('invalid'), 2);
});

t.test('what becomes of sessions, places, tokens and refusals', async (t) => {
  const before = await read();
  const ride = await assignedRide(t, s);
  const topic = `trip:${ride.id}`;
  const peer = await connect(t, s.at, 'grpc', ride.rider.token);
  const { subscribed } = await peer.ask({ subscribe: { topic, since_offset: 0 } });
  t.ok(subscribed.replayed > 0);
  await peer.ask({ subscribe: { topic, since_offset: 3, epoch: 'another' } });
  await peer.ask({ location_update: { ...somewhere(), recorded_at_ms: Date.now() } });
  const { reconnect_token: token } = peer.inbox.all.find((m) => m.welcome)!.welcome;
  peer.cut();
  const back = await connect(t, s.at, 'grpc', undefined, resuming('grpc', token));
  await openGrpc(s.at, undefined, resuming('grpc', token).headers).ended;
  const since = (name: string, labels: object) => async () => grown(before, await read(), name, labels) >= 1;
  for (const [name, labels] of [
    ['ride_stream_recoveries_total', { outcome: 'recovered' }],
    ['ride_stream_recoveries_total', { outcome: 'gap' }],
    ['ride_stream_recoveries_total', { outcome: 'inbox' }],
    ['ride_stream_replayed_total', { source: 'topic' }],
    ['ride_stream_refused_total', { code: 'RIDE_FORBIDDEN' }],
    ['ride_stream_reconnect_tokens_total', { outcome: 'redeemed' }],
    ['ride_stream_reconnect_tokens_total', { outcome: 'unknown' }],
    ['ride_stream_sessions_ended_total', { code: 'gone' }],
    ['ride_presence_changes_total', { state: 'online' }],
  ] as const)
    await until(since(name, labels), `${name} ${JSON.stringify(labels)}`);
  t.equal(sum(await read(), 'ride_stream_draining'), 0);
  const online = await read();
  back.cut();
  const offline = async () => grown(online, await read(), 'ride_presence_changes_total', { state: 'offline' }) >= 1;
  await until(offline, 'the end of his grace');
});

t.test('who is turned away at the door is counted by the reason, on every transport', async (t) => {
  const full = await build(t, { env: { MAX_SESSIONS_PER_USER: '1', REDIS_URL: s.redisUrl } });
  const { token } = await member(full, 'rider');
  await connect(t, full.at, 'grpc', token);
  await openGrpc(full.at, token).ended;
  await openWebSocket(full.at, 'websocket-json', token).catch(() => {});
  const turnedAway = async () =>
    sum(await readMetrics(full.at.metrics), 'ride_stream_turned_away_total', { code: 'RIDE_USER_SESSIONS' });
  t.equal(await turnedAway(), 2);
});

t.test('what Redis answered, by operation', async (t) => {
  const before = await read();
  const ride = await assignedRide(t, s);
  await s.rest('GET', `/api/v1/drivers/nearby?lat=${ride.at.lat}&lng=${ride.at.lng}`, ride.rider.token);
  await s.rest('GET', `/api/v1/trips/${ride.id}/location`, ride.rider.token);
  const after = await read();
  for (const operation of [
    'location_write',
    'location_read',
    'nearby',
    'availability',
    'offer',
    'publish',
    'session',
    'presence',
  ]) {
    t.ok(grown(before, after, 'realtime_redis_hits_total', { operation }) > 0, operation);
  }
});

t.test('REST by route and status, never by path', async (t) => {
  const { token } = await member(s, 'rider');
  const before = await read();
  for (let n = 0; n < 3; n++) await s.rest('GET', `/api/v1/trips/none-${n}`, token);
  await s.rest('GET', '/api/v1/no/such/route', token);
  await fetch(`http://${s.at.http}/api/v1/trips/none-0`, {
    method: 'HEAD',
    headers: { authorization: `Bearer ${token}` },
  });
  const after = await read();
  const route = { method: 'GET', route: '/api/v1/trips/:trip_id', status_code: '404' };
  t.equal(grown(before, after, 'http_request_duration_seconds_count', route), 3);
  t.equal(grown(before, after, 'http_request_duration_seconds_count'), 3, 'neither what has no route nor a HEAD');
  t.notOk(
    after.some(({ labels }) => Object.values(labels).some((value) => value.includes('none-'))),
    'no label carries an id',
  );
});

t.test('quotes, surge and payments', async (t) => {
  const before = await read();
  const at = somewhere();
  const rider = await member(s, 'rider');
  const journey = { pickup: at, dropoff: north(at, 3000) };
  const { body: quote } = await s.rest('POST', '/api/v1/quotes', rider.token, journey);
  const booking = { ...journey, quote_id: quote.id };
  const { body: booked } = await s.rest('POST', '/api/v1/trips', rider.token, booking);
  t.equal((await s.rest('POST', '/api/v1/trips', rider.token, booking)).status, 409);
  await s.rest('POST', `/api/v1/trips/${booked.id}/cancel`, rider.token, {});

  const ride = await assignedRide(t, s);
  for (const step of ['arrive', 'start', 'complete'])
    await s.rest('POST', `/api/v1/trips/${ride.id}/${step}`, ride.driver.token);
  const payment = async () => (await s.rest('GET', `/api/v1/trips/${ride.id}/payment`, ride.rider.token)).body;
  await until(async () => (await payment()).status === 'settled', 'the payment to settle');
  const { captured_minor: captured } = await payment();

  const after = await read();
  const quotes = (outcome: string) => grown(before, after, 'ride_quotes_total', { outcome });
  t.same(['made', 'booked', 'used', 'expired'].map(quotes), [1, 1, 1, 0]);
  for (const step of ['hold', 'capture', 'settle']) {
    t.equal(grown(before, after, 'ride_payment_step_seconds_count', { step, outcome: 'done' }), 1, step);
  }
  const events = (type: string) => grown(before, after, 'ride_payment_events_total', { type });
  t.same(['requested', 'held', 'owed', 'captured', 'settled', 'released'].map(events), [1, 1, 1, 1, 1, 0]);
  t.equal(grown(before, after, 'ride_payment_captured_minor_total', { currency: 'USD' }), captured);
  t.equal(grown(before, after, 'ride_payment_unpaid_minor_total'), 0);
  await until(async () => grown(before, await read(), 'ride_surge_compute_seconds_count') > 0, 'the surge board');
  const sample = (name: string) => sum(after, name);
  t.ok(
    sample('ride_surge_multiplier_max') === 0 || sample('ride_surge_multiplier_max') >= 1,
    'a factor, not thousandths',
  );
});

t.test('dispatch: what was decided, from how many, and what drivers said', async (t) => {
  const before = await read();
  const ride = await assignedRide(t, s);
  const other = await offeredRide(t, s);
  const no = `/api/v1/trips/${other.id}/offers/${other.offerId}/reject`;
  t.equal((await s.rest('POST', no, other.driver.token)).status, 204);
  const rider = await member(s, 'rider');
  const { id } = await requestedTrip(s, rider, somewhere());
  const cancelled = await offeredRide(t, s);
  t.equal((await s.rest('POST', `/api/v1/trips/${cancelled.id}/cancel`, cancelled.rider.token)).status, 200);
  const decided = (after: Sample[], outcome: string) =>
    grown(before, after, 'ride_dispatch_decisions_total', { kind: 'trip', outcome });
  await until(async () => {
    const after = await read();
    return decided(after, 'nobody_near') >= 1 && decided(after, 'all_rejected') >= 1;
  }, 'the trips that nobody drives to be decided');
  const after = await read();
  t.equal(decided(after, 'cheapest'), 3);
  const offers = (outcome: string) => grown(before, after, 'ride_offers_total', { outcome });
  t.same(['made', 'accepted', 'declined', 'expired', 'withdrawn'].map(offers), [3, 1, 1, 0, 1]);
  t.ok(grown(before, after, 'ride_dispatch_rejected_total', { reason: 'excluded' }) >= 1);
  const all = grown(before, after, 'ride_dispatch_decisions_total');
  t.equal(grown(before, after, 'ride_dispatch_candidates_count', { kind: 'trip' }), all);
  t.equal(grown(before, after, 'ride_dispatch_candidates_sum'), 3, 'one driver each, where there is one');
  for (const name of ['ride_dispatch_assignment_seconds', 'ride_dispatch_decision_seconds']) {
    t.equal(grown(before, after, `${name}_count`, { kind: 'trip' }), all, name);
    t.ok(grown(before, after, `${name}_sum`) < all, 'in seconds and not in milliseconds');
  }
  const etaS = grown(before, after, 'ride_match_pickup_eta_seconds_sum', { source: 'straight_line' });
  t.equal(grown(before, after, 'ride_match_pickup_eta_seconds_count'), 1);
  t.ok(etaS >= 0 && etaS < 3600, `${etaS}`);
  t.equal(grown(before, after, 'ride_match_sought_seconds_count'), 1);
  for (const trip of [id, other.id])
    await s.rest('POST', `/api/v1/trips/${trip}/cancel`, (await member(s, 'admin')).token);
  await ride.step('arrive');
});

t.test('what happens to trips, deliveries, departures and bookings, and what is asked again', async (t) => {
  const before = await read();
  const ride = await assignedRide(t, s);
  for (const step of ['arrive', 'start', 'complete'] as const) await ride.step(step);
  await firstDelivery(t, s);
  await firstDeparture(t, s);
  const after = await read();
  const events = (kind: string, ...names: string[]) =>
    names.map((event) => grown(before, after, 'ride_trip_events_total', { kind, event }));
  t.same(events('ride', 'requested', 'offered', 'assigned', 'started', 'completed', 'cancelled'), [1, 1, 1, 1, 1, 0]);
  t.same(events('delivery', 'requested', 'assigned', 'proof_refused', 'completed'), [1, 1, 1, 1]);
  t.same(
    events('scheduled', 'published', 'booked', 'booking_cancelled', 'boarded', 'started', 'completed', 'cancelled'),
    [1, 3, 1, 2, 1, 1, 0],
  );
  const bookings = (event: string) => grown(before, after, 'ride_booking_events_total', { event });
  t.same(['booked', 'boarded', 'completed', 'cancelled', 'no_show'].map(bookings), [3, 2, 2, 1, 0]);
  t.equal(grown(before, after, 'ride_idempotent_repeats_total'), 2, 'an order and a departure, each asked for twice');
});

t.test('events that cannot be told are seen waiting, and the sweeper, once they are told', async (t) => {
  const redis = await startRedis(t, { args: ['--maxmemory-policy', 'noeviction'] });
  const s = await build(t, { env: { REDIS_URL: redis.url, SWEEP_INTERVAL: '1s', SWEEP_AGE: '100ms' } });
  const rider = await member(s, 'rider');
  const { id } = await requestedTrip(s, rider, somewhere());
  const age = async () => sum(await readMetrics(s.at.metrics), 'ride_outbox_oldest_age_seconds');
  await until(async () => (await age()) === 0, 'all to be told');
  const operator = connectRedis({ url: redis.url }, () => {});
  t.after(() => operator.disconnect());
  await operator.config('SET', 'maxmemory', '1');
  await s.rest('POST', `/api/v1/trips/${id}/cancel`, rider.token);
  await until(async () => (await age()) > 0.3, 'an event that waits');
  const long = await age();
  t.ok(long < 100, `in seconds and not in milliseconds: ${long}`);
  await operator.config('SET', 'maxmemory', '0');
  await until(async () => (await age()) === 0, 'it to be told');
  const mended = async () => sum(await readMetrics(s.at.metrics), 'ride_sweep_mended_total', { what: 'outbox' });
  await until(async () => (await mended()) >= 1, 'the sweeper to have told it');
});

t.test('every metric has its line in docs/metrics.md, and no line is about another', async (t) => {
  const text = await (await fetch(`http://${s.at.metrics}/metrics`)).text();
  const served = [...text.matchAll(/^# TYPE ((?:ride|realtime|http)_\S+)/gm)].map(([, name]) => name!);
  const page = await readFile('docs/metrics.md', 'utf8');
  const written = [...page.matchAll(/`((?:ride|realtime|http)_\w+)`/g)].map(([, name]) => name!);
  t.same(
    served.filter((name) => !written.includes(name)),
    [],
  );
  const files = (await readdir('src', { recursive: true })).filter((name) => name.endsWith('.ts'));
  const source = (await Promise.all(files.map((name) => readFile(`src/${name}`, 'utf8')))).join('\n');
  t.same(
    written.filter((name) => !source.includes(`'${name}'`)),
    [],
  );
  t.equal(new Set(written).size, written.length, 'each once');
});

t.test('names, types and help, as Prometheus reads them', async (t) => {
  const response = await fetch(`http://${s.at.metrics}/metrics`);
  t.match(response.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]));
  for (const [name, type] of Object.entries({
    ride_stream_active_sessions: 'gauge',
    ride_stream_queue_depth: 'gauge',
    ride_stream_latency_seconds: 'histogram',
    realtime_active_connections: 'gauge',
    realtime_messages_received_total: 'counter',
    realtime_messages_sent_total: 'counter',
    realtime_location_updates_total: 'counter',
    realtime_fanout_latency_seconds: 'histogram',
    realtime_authentication_errors_total: 'counter',
    realtime_redis_hits_total: 'counter',
    ride_routing_request_seconds: 'histogram',
    ride_routing_cache_total: 'counter',
    ride_routing_breaker_state: 'gauge',
    ride_eta_estimates_total: 'counter',
    ride_eta_error_seconds: 'histogram',
    ride_eta_error_ratio: 'histogram',
    http_request_duration_seconds: 'histogram',
    process_resident_memory_bytes: 'gauge',
    nodejs_eventloop_lag_seconds: 'gauge',
    ride_quotes_total: 'counter',
    ride_surge_zones: 'gauge',
    ride_payment_step_seconds: 'histogram',
    ride_payment_reconciled_total: 'counter',
    ride_dispatch_decisions_total: 'counter',
    ride_dispatch_candidates: 'histogram',
    ride_offers_total: 'counter',
    ride_trip_events_total: 'counter',
    ride_booking_events_total: 'counter',
    ride_sweep_mended_total: 'counter',
    ride_idempotent_repeats_total: 'counter',
    ride_outbox_oldest_age_seconds: 'gauge',
    ride_match_pickup_eta_seconds: 'histogram',
  })) {
    t.equal(types.get(name), type, name);
    t.match(text, new RegExp(`^# HELP ${name} \\S`, 'm'), `${name} says what it is`);
  }
  t.equal(sum(parseMetrics(text), 'ride_stream_queue_depth'), 0, 'nothing waits');
  const elsewhere = await s.rest('GET', '/metrics');
  t.equal(elsewhere.status, 404, 'and none of it on the public port');
});
t.end();
