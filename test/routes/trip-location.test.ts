/** Polling a trip's location with an entity tag. */
import t from 'tap';
import { build } from '../helper.ts';
import { assignedRide, member, north } from '../scene.ts';
import { until } from '../until.ts';

t.test('a poller with the tag of what he has gets 304 until the driver moves', async (t) => {
  const a = await build(t);
  const b = await build(t, { env: { REDIS_URL: a.redisUrl, SQLITE_FILE: a.config.sqliteFile! } });
  const ride = await assignedRide(t, a);
  const path = `/api/v1/trips/${ride.id}/location`;
  const report = async (at: { lat: number; lng: number }, recordedAt: number) => {
    const update = { ...at, recorded_at_ms: recordedAt, trip_id: ride.id };
    const { status } = await a.rest('POST', '/api/v1/drivers/me/locations', ride.driver.token, { updates: [update] });
    t.equal(status, 200);
  };
  const poll = (on: typeof a, tag: string) =>
    on.rest('GET', path, ride.rider.token, undefined, { 'if-none-match': tag });
  const now = Date.now();
  await report(ride.at, now - 2000);

  const first = await a.rest('GET', path, ride.rider.token);
  t.equal(first.status, 200);
  const tag = first.headers.get('etag')!;
  t.match(tag, /^"[\w-]{20,}"$/, 'a strong tag');
  t.equal(first.headers.get('cache-control'), 'private, no-cache');

  for (const header of [tag, `W/${tag}`, `"other", ${tag}`, '*']) {
    for (const node of [a, b]) {
      const again = await poll(node, header);
      t.equal(again.status, 304, header);
      t.equal(again.body, '', 'no body');
      t.equal(again.headers.get('etag'), tag);
      t.equal(again.headers.get('cache-control'), 'private, no-cache');
    }
  }
  t.equal((await poll(a, '"other"')).status, 200);
  t.equal((await poll(a, tag.slice(1, -1))).status, 200, 'a tag without its quotes is none');

  await report(north(ride.at, 50), now - 1000);
  const moved = await poll(b, tag);
  t.equal(moved.status, 200, 'he moved');
  t.equal(moved.body.lat, north(ride.at, 50).lat);
  t.not(moved.headers.get('etag'), tag);

  await report(north(ride.at, 50), now);
  t.equal((await poll(b, moved.headers.get('etag')!)).status, 200, 'still there, and measured later: fresher');
});

t.test('a position that went stale is told again, though the driver did not move', async (t) => {
  const s = await build(t, { env: { LOCATION_FRESHNESS: '3s' } });
  const ride = await assignedRide(t, s);
  const update = { ...ride.at, recorded_at_ms: Date.now(), trip_id: ride.id };
  await s.rest('POST', '/api/v1/drivers/me/locations', ride.driver.token, { updates: [update] });
  const path = `/api/v1/trips/${ride.id}/location`;
  const fresh = await s.rest('GET', path, ride.rider.token);
  t.equal(fresh.body.stale, false);
  const poll = () => s.rest('GET', path, ride.rider.token, undefined, { 'if-none-match': fresh.headers.get('etag')! });
  t.equal((await poll()).status, 304);
  let answer = await poll();
  await until(async () => {
    answer = await poll();
    return answer.status === 200;
  }, 'an answer other than 304');
  t.hasStrict(answer.body, { stale: true, recorded_at_ms: update.recorded_at_ms });
});

t.test('what is refused without a tag is refused with one', async (t) => {
  const s = await build(t);
  const ride = await assignedRide(t, s);
  const path = `/api/v1/trips/${ride.id}/location`;
  const any = { 'if-none-match': '*' };
  t.equal((await s.rest('GET', path, ride.rider.token, undefined, any)).status, 404, 'no position yet');
  const stranger = await member(s, 'rider');
  t.equal((await s.rest('GET', path, stranger.token, undefined, any)).status, 403);
  t.equal((await s.rest('GET', path, undefined, undefined, any)).status, 401);
  t.equal((await s.rest('GET', path, ride.rider.token, undefined, { 'if-none-match': 'x'.repeat(1025) })).status, 400);
});
