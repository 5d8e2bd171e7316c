/** Whatever the broker does, what the sink took arrives, and in the order of its key. */
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { claimSpools } from '../../../src/adapters/spool/folders.ts';
import { createSpooledSink, type DurableSink, type Outcome } from '../../../src/adapters/spool/spooled-sink.ts';
import { type RecordSink, RecordsRefused, type SinkRecord } from '../../../src/ports/event-sink.ts';
import { quiet } from '../../realtime/node.ts';
import { until } from '../../until.ts';
import { firstOf, recordOf } from './records.ts';

const TIMEOUT_MS = 300;
const MAX = 1_000_000;

/** How a broker treats one batch. `part`: it keeps the first half and fails. `late`: it keeps it, but says so after the timeout. */
type Mood = 'ok' | 'down' | 'part' | 'late';

class TestBroker implements RecordSink {
  readonly kept: SinkRecord[] = [];
  readonly moods: Mood[] = [];
  mood: Mood = 'ok';
  batches = 0;
  isClosed = false;
  /** Records whose key begins so are never taken, nor, as brokers have it, is anything in one batch with them. */
  never = '';

  async send(records: readonly SinkRecord[]): Promise<void> {
    this.batches++;
    const mood = this.moods.shift() ?? this.mood;
    const isRefused = this.never !== '' && records.some(({ key }) => key.startsWith(this.never));
    if (isRefused && mood === 'ok') throw new RecordsRefused('MESSAGE_TOO_LARGE');
    if (mood === 'down') throw new Error('down');
    this.kept.push(...records.slice(0, mood === 'part' ? records.length / 2 : undefined));
    if (mood === 'part') throw new Error('half of it');
    if (mood === 'late') await new Promise((resolve) => setTimeout(resolve, 2 * TIMEOUT_MS));
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

interface Scene {
  broker: TestBroker;
  sink: DurableSink;
  counts: Record<Outcome, number>;
}

async function openAt(root: string, broker = new TestBroker(), maxBytes = MAX): Promise<Scene> {
  const counts = { sent: 0, spooled: 0, refused: 0, dead_letter: 0 };
  const sink = createSpooledSink({
    sink: broker,
    spools: await claimSpools(root, { maxBytes, segmentBytes: 2000, log: quiet }),
    maxBytes,
    timeoutMs: TIMEOUT_MS,
    log: quiet,
    onOutcome: (outcome, count) => {
      counts[outcome] += count;
    },
  });
  return { broker, sink, counts };
}

/** What was put aside, as the next process would send it from a folder with a number. */
async function deadLettersOf(root: string): Promise<SinkRecord[]> {
  await rename(join(root, '0', 'dead-letters'), join(root, '7'));
  const again = await openAt(root);
  await sent(again);
  await again.sink.close();
  return again.broker.kept;
}

async function newRoot(t: Test): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'ridestream-sink-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  return root;
}

const sent = ({ sink }: Scene) => until(() => sink.waiting().records === 0, 'everything to be sent');

t.test('straight to the broker, joined into batches', async (t) => {
  const scene = await openAt(await newRoot(t));
  const records = Array.from({ length: 2000 }, (_, n) => recordOf(`k${n % 7}`, n));
  await Promise.all(records.map((record) => scene.sink.send(record)));
  t.same(scene.broker.kept, records);
  t.ok(scene.broker.batches < 10, `${scene.broker.batches} batches`);
  t.same(scene.counts, { sent: 2000, spooled: 0, refused: 0, dead_letter: 0 });
  await scene.sink.close();
  t.ok(scene.broker.isClosed);
});

t.test('the broker goes away and comes back: first the disk, then what is new', async (t) => {
  const scene = await openAt(await newRoot(t));
  scene.broker.mood = 'down';
  for (let n = 0; n < 100; n++) await scene.sink.send(recordOf('a', n));
  t.equal(scene.sink.waiting().records, 100);
  t.ok(scene.sink.waiting().bytes > 0);
  scene.broker.mood = 'ok';
  const more = Array.from({ length: 100 }, (_, n) => scene.sink.send(recordOf('a', 100 + n)));
  await Promise.all(more);
  await sent(scene);
  t.same(
    firstOf(scene.broker.kept).get('a'),
    Array.from({ length: 200 }, (_, n) => `a/${n}`),
  );
  await scene.sink.close();
});

t.test(
  'a process that ends leaves what waits to the next, and one that was never started again to another',
  async (t) => {
    const root = await newRoot(t);
    const first = await openAt(root);
    const second = await openAt(root);
    for (const { broker } of [first, second]) broker.mood = 'down';
    for (let n = 0; n < 30; n++) await first.sink.send(recordOf('a', n));
    for (let n = 0; n < 30; n++) await second.sink.send(recordOf('b', n));
    await first.sink.close();
    await second.sink.close();
    await t.rejects(first.sink.send(recordOf('a', 99)), { code: 'RIDE_DRAINING' });
    const third = await openAt(root);
    await third.sink.send(recordOf('a', 30));
    await sent(third);
    for (const [key, count] of [
      ['a', 31],
      ['b', 30],
    ] as const) {
      t.same(
        firstOf(third.broker.kept).get(key),
        Array.from({ length: count }, (_, n) => `${key}/${n}`),
        key,
      );
    }
    await third.sink.close();
  },
);

t.test('a full disk refuses, says so and counts; samples leave half of it to the others', async (t) => {
  const scene = await openAt(await newRoot(t), new TestBroker(), 10_000);
  scene.broker.mood = 'down';
  const results = await Promise.allSettled(
    Array.from({ length: 200 }, (_, n) => scene.sink.send(recordOf('s', n), true)),
  );
  const samples = results.filter(({ status }) => status === 'fulfilled').length;
  t.ok(samples > 10 && scene.sink.waiting().bytes <= 5000, `${samples} samples`);
  let taken = 0;
  const full = async (): Promise<boolean> => {
    try {
      await scene.sink.send(recordOf('a', taken));
      taken++;
      return false;
    } catch (error) {
      t.match(error, { code: 'RIDE_UNAVAILABLE', retryAfterMs: 1000 });
      return true;
    }
  };
  await until(full, 'the spool to be full');
  t.ok(taken > 10 && scene.sink.waiting().bytes <= 10_000);
  t.equal(scene.counts.refused, 200 - samples + 1);
  scene.broker.mood = 'ok';
  await sent(scene);
  await scene.sink.send(recordOf('a', taken));
  await sent(scene);
  t.equal(firstOf(scene.broker.kept).get('a')?.length, taken + 1, 'and takes more when there is room');
  await scene.sink.close();
});

t.test(
  'what the broker refuses for good is put aside, from memory and from the disk, and the rest arrives',
  async (t) => {
    const root = await newRoot(t);
    const scene = await openAt(root);
    const { broker, sink, counts } = scene;
    broker.never = 'huge';
    const keys = ['a', 'b', 'huge-1', 'c', 'huge-2'];
    const records = Array.from({ length: 500 }, (_, n) => recordOf(keys[n % 250 < 5 ? n % 250 : n % 2]!, n));
    const refused = records.filter(({ key }) => key.startsWith('huge'));
    t.equal(refused.length, 4);
    await Promise.all(records.map((record) => sink.send(record)));
    t.same(counts, { sent: 496, spooled: 0, refused: 0, dead_letter: 4 }, 'the disk was not needed for the others');
    t.ok(broker.batches < 100, `${broker.batches} batches`);
    broker.mood = 'down';
    const more = Array.from({ length: 100 }, (_, n) => recordOf(n % 40 === 7 ? 'huge-1' : 'a', 1000 + n));
    for (const record of more) await sink.send(record);
    broker.mood = 'ok';
    await sent(scene);
    const all = [...records, ...more];
    const orderOf = (key: string) => all.filter((one) => one.key === key).map(({ id }) => id);
    for (const key of ['a', 'b', 'c']) t.same(firstOf(broker.kept).get(key), orderOf(key), `${key}: in order`);
    t.notOk(broker.kept.some(({ key }) => key.startsWith('huge')));
    t.equal(sink.deadLetters(), 7);
    await sink.close();
    const next = await openAt(root);
    t.equal(next.sink.deadLetters(), 7, 'the next process counts them too');
    t.equal(next.broker.kept.length, 0, 'and sends none of them');
    await next.sink.close();
    t.same(
      (await deadLettersOf(root)).map(({ id }) => id),
      all.filter(({ key }) => key.startsWith('huge')).map(({ id }) => id),
      'nothing is lost: they are there to be sent',
    );
  },
);

t.test('a broker that goes away while a batch is sifted: put aside once, all else follows', async (t) => {
  const root = await newRoot(t);
  const scene = await openAt(root);
  const { broker, sink, counts } = scene;
  broker.never = 'huge';
  // The first is under way while the others come.
  const batch = [recordOf('first', 0), recordOf('huge', 0), ...Array.from({ length: 9 }, (_, n) => recordOf('a', n))];
  // After it all ten, their first half, and so on to what is refused alone; then the next half finds nobody.
  broker.moods.push('ok', 'ok', 'ok', 'ok', 'ok', 'down');
  await Promise.all(batch.map((record) => sink.send(record)));
  await sent(scene);
  t.equal(counts.dead_letter, 1);
  t.ok(counts.spooled > 0, 'it was away');
  t.same(
    firstOf(broker.kept).get('a'),
    Array.from({ length: 9 }, (_, n) => `a/${n}`),
  );
  // The same from the disk.
  broker.mood = 'down';
  const later = [recordOf('huge', 1), ...Array.from({ length: 9 }, (_, n) => recordOf('b', n))];
  for (const record of later) await sink.send(record);
  broker.moods.push('ok', 'ok', 'ok', 'ok', 'down', 'down');
  broker.mood = 'ok';
  await sent(scene);
  t.equal(counts.dead_letter, 2);
  t.equal(firstOf(broker.kept).get('b')?.length, 9);
  await sink.close();
  t.equal((await deadLettersOf(root)).length, 2);
});

t.test('where no more can be put aside, it waits and holds up those behind it, and nothing is lost', async (t) => {
  const scene = await openAt(await newRoot(t), new TestBroker(), 2000);
  const { broker, sink } = scene;
  broker.never = 'huge';
  await sink.send(recordOf('huge', 0, 1500));
  t.equal(sink.deadLetters(), 1);
  await sink.send(recordOf('huge', 1, 1500));
  await sink.send(recordOf('a', 0));
  const asked = broker.batches;
  await until(() => broker.batches > asked + 2, 'some tries');
  t.equal(sink.waiting().records, 2);
  broker.never = '';
  await sent(scene);
  t.same(
    broker.kept.map(({ id }) => id),
    ['huge/1', 'a/0'],
  );
  await sink.close();
});

t.test('however the broker fails, nothing is lost and the order of each key holds', async (t) => {
  const mood = fc.constantFrom<Mood>('ok', 'ok', 'down', 'part', 'late');
  const scenario = fc.record({
    moods: fc.array(mood, { maxLength: 6 }),
    bursts: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 }),
    restartAfter: fc.integer({ min: 0, max: 8 }),
  });
  await t.resolves(
    fc.assert(
      fc.asyncProperty(scenario, async ({ moods, bursts, restartAfter }) => {
        const root = await mkdtemp(join(tmpdir(), 'ridestream-sink-'));
        const broker = new TestBroker();
        broker.moods.push(...moods);
        let scene = await openAt(root, broker);
        const expected = new Map<string, string[]>();
        let n = 0;
        for (const [index, burst] of bursts.entries()) {
          const sends = Array.from({ length: burst }, () => {
            const record = recordOf(`k${n % 3}`, n++);
            expected.set(record.key, [...(expected.get(record.key) ?? []), record.id]);
            return scene.sink.send(record);
          });
          await Promise.all(sends);
          if (index !== restartAfter) continue;
          await scene.sink.close();
          scene = await openAt(root, broker);
        }
        await sent(scene);
        await scene.sink.close();
        await rm(root, { recursive: true });
        const got = firstOf(broker.kept);
        for (const [key, ids] of expected) {
          if (got.get(key)?.join() !== ids.join()) throw new Error(`${key}: ${got.get(key)} instead of ${ids}`);
        }
      }),
      { numRuns: 25 },
    ),
  );
});
t.end();
