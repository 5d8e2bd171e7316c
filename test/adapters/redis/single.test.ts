/** The Redis adapters keep their ports' promises on one server. */
import t from 'tap';
import { createRedisPositions } from '../../../src/adapters/redis/positions.ts';
import { SINGLES_KNOWN } from '../../../src/ports/publisher.ts';
import { startRedis } from '../../servers/redis.ts';
import { allConformance, quiet, redisPlace } from './place.ts';

t.test('one Redis', async (t) => {
  const server = await startRedis(t);
  const place = await redisPlace(t, server.url, async () => {
    await place.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  });
  await allConformance(t, 'one Redis', place);
});

t.test('a position is replaced in a Redis that has no memory to spare; what is new there is refused', async (t) => {
  const server = await startRedis(t, { args: ['--maxmemory-policy', 'noeviction'] });
  const { redis, positions } = await redisPlace(t, server.url, async () => {});
  const node = positions.node();
  const rest = { driverId: 'd', tripId: '', lng: 0, vehicleClass: 'standard', city: 'c', source: 'stream' } as const;
  await node.record({ ...rest, lat: 1, recordedAt: 1, speedMps: 5 });
  await redis.config('SET', 'maxmemory', '1');
  await t.rejects(redis.set('any', 'thing'), /OOM/);
  const outcome = (driverId: string, more: object = {}) =>
    node.record({ ...rest, driverId, lat: 2, recordedAt: 2, ...more }).catch((error: unknown) => error);
  const full = { code: 'RIDE_UNAVAILABLE', message: 'The live store (Redis) is full and refuses writes (OOM)' };
  // In one write, in whatever order: what is replaced must not make room for what is new.
  const [before, replaced, after] = await Promise.all([outcome('new'), outcome('d'), outcome('newer')]);
  t.equal(replaced, true);
  for (const refused of [before, after, await outcome('new')]) t.match(refused, full, 'what is new is refused');
  t.hasStrict(await node.ofDriver('d'), { lat: 2, recordedAt: 2, speedMps: undefined });
  for (const driverId of ['new', 'newer']) t.equal(await node.ofDriver(driverId), null);
  t.match(await outcome('d', { tripId: 'trip', recordedAt: 3 }), full, 'so is the first of a trip');
  t.equal(await node.ofTrip('trip'), null);
  await redis.config('SET', 'maxmemory', '0');
  t.same(await Promise.all([outcome('new'), outcome('d', { tripId: 'trip', recordedAt: 3 })]), [true, true]);
  t.hasStrict(await node.ofTrip('trip'), { recordedAt: 3 });
});

t.test('an index that cannot be written costs nobody his position', async (t) => {
  const server = await startRedis(t);
  const { redis } = await redisPlace(t, server.url, async () => {});
  const warnings: unknown[][] = [];
  const log = { ...quiet, warn: (...args: unknown[]) => warnings.push(args) } as unknown as typeof quiet;
  const positions = createRedisPositions(redis, { ttlMs: 60_000, flushMs: 1, log });
  const rest = { tripId: '', lng: 0, vehicleClass: 'standard', city: 'c', source: 'stream' } as const;
  await redis.set('active-drivers', 'no index');
  const both = [1, 2].map((lat) => positions.record({ ...rest, driverId: `d${lat}`, lat, recordedAt: lat }));
  t.same(await Promise.all(both), [true, true]);
  t.hasStrict(await positions.ofDriver('d2'), { lat: 2, recordedAt: 2 });
  t.equal(warnings.length, 1, 'but it is told');
  t.match(warnings[0], [{ err: { cause: { message: /WRONGTYPE/ } } }, /not moved/]);
  await redis.del('active-drivers');
  await positions.setAvailable('d1', 'standard');
  await positions.record({ ...rest, driverId: 'd1', lat: 3, recordedAt: 3 });
  const [near] = await positions.nearby({ lat: 3, lng: 0 }, 100, 1);
  t.equal(near?.position.driverId, 'd1', 'and who is in the index moves in it');
});

t.test('what other systems tell one user for ever is known for a while, and never adds up', async (t) => {
  const server = await startRedis(t);
  const place = await redisPlace(t, server.url, async () => {});
  const bus = await place.node();
  const tell = (n: number) =>
    bus.publishOrdered('user:u', Buffer.from(`${n}`), { source: `event:${n}`, seq: 1, isSingle: true });
  const own = (seq: number) => bus.publishOrdered('user:u', Buffer.from('own'), { source: 'trip', seq });

  t.equal(await own(1), 'published');
  const count = 2 * SINGLES_KNOWN;
  const outcomes = await Promise.all(Array.from({ length: count }, (_, n) => tell(n)));
  t.ok(outcomes.every((outcome) => outcome === 'published'));
  for (const n of [count - 1, count - SINGLES_KNOWN]) t.equal(await tell(n), 'duplicate', 'one of the last');
  t.equal(await tell(0), 'published', 'one long ago is told again');
  t.equal(await own(1), 'duplicate', 'a source of more than one is never forgotten');
  t.equal(await own(2), 'published');
  const size = await place.redis.hlen('memory:{user:u}');
  t.ok(size < 2 * SINGLES_KNOWN + 10, `${size} fields`);
});
