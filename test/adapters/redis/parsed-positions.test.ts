/** Positions that are recognised by their text, and reads that are shared. */
import t from 'tap';
import { ParsedPositions } from '../../../src/adapters/redis/parsed-positions.ts';
import type { Position } from '../../../src/ports/positions.ts';
import { startRedis } from '../../servers/redis.ts';
import { redisPlace } from './place.ts';

const textOf = (lat: string): string =>
  JSON.stringify(['1700000000000', 'd-1', 'trip-1', lat, '2', false, false, '4.5', 'standard', 'here', 'stream']);

t.test('the same text is the same position, another text another one', async (t) => {
  const parsed = new ParsedPositions();
  const first = parsed.of('a', textOf('1'));
  t.same(first, {
    driverId: 'd-1',
    tripId: 'trip-1',
    lat: 1,
    lng: 2,
    speedMps: undefined,
    headingDeg: undefined,
    accuracyM: 4.5,
    recordedAt: 1_700_000_000_000,
    vehicleClass: 'standard',
    city: 'here',
    source: 'stream',
  });
  t.equal(parsed.of('a', textOf('1')), first);
  t.not(parsed.of('b', textOf('1')), first, 'each key its own');
  const moved = parsed.of('a', textOf('1.5'));
  t.equal(moved?.lat, 1.5);
  t.equal(parsed.of('a', textOf('1.5')), moved);
  t.not(parsed.of('a', textOf('1')), first, 'what was before is forgotten');
});

t.test('none is none, and what Redis could not read is told', async (t) => {
  const parsed = new ParsedPositions();
  const first = parsed.of('a', textOf('1'));
  t.equal(parsed.of('a', JSON.stringify(Array(11).fill(false))), null);
  t.not(parsed.of('a', textOf('1')), first);
  t.throws(() => parsed.of('a', '"WRONGTYPE of key"'), { message: 'WRONGTYPE of key' });
});

t.test('no more keys are remembered than may be', async (t) => {
  const parsed = new ParsedPositions(2);
  const [a, b] = ['a', 'b'].map((key) => parsed.of(key, textOf('1')));
  const c = parsed.of('c', textOf('1'));
  t.equal(parsed.of('b', textOf('1')), b);
  t.equal(parsed.of('c', textOf('1')), c);
  t.not(parsed.of('a', textOf('1')), a, 'the oldest went');
});

t.test('who asks for one position in one turn shares one read', async (t) => {
  const server = await startRedis(t);
  const { redis, positions } = await redisPlace(t, server.url, async () => {});
  const node = positions.node();
  const at = (driverId: string, tripId: string): Position => ({
    driverId,
    tripId,
    lat: 1,
    lng: 2,
    recordedAt: 1,
    vehicleClass: 'standard',
    city: 'here',
    source: 'stream',
  });
  await Promise.all([node.record(at('d-1', 'trip-1')), node.record(at('d-2', 'trip-2'))]);
  const scripts = redis as unknown as { rideReadPositions(count: number, ...keys: string[]): Promise<string> };
  const read = scripts.rideReadPositions;
  const reads: string[][] = [];
  scripts.rideReadPositions = (count, ...keys) => {
    reads.push(keys);
    return read.call(redis, count, ...keys);
  };
  const asked = ['trip-1', 'trip-2', 'trip-1', 'trip-3', 'trip-1'];
  const found = await Promise.all(asked.map((tripId) => node.ofTrip(tripId)));
  t.same(
    found.map((position) => position?.driverId),
    ['d-1', 'd-2', 'd-1', undefined, 'd-1'],
  );
  t.same(reads, [['location:trip-1', 'location:trip-2', 'location:trip-3']]);
  t.equal(await node.ofTrip('trip-1'), found[0], 'and while it stays as it was, it is the same object');
  t.equal(reads.length, 2, 'though Redis is asked each time');
  await node.record({ ...at('d-1', 'trip-1'), lat: 9 });
  t.equal((await node.ofTrip('trip-1'))?.lat, 9);
});
