/** The spool keeps what it promised: order, its bound, and every flushed record, however the process or the disk behaves. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { encodeFrame, readFrames } from '../../../src/adapters/spool/frames.ts';
import { Spool } from '../../../src/adapters/spool/spool.ts';
import type { SinkRecord } from '../../../src/ports/event-sink.ts';
import { quiet } from '../../realtime/node.ts';
import { recordOf } from './records.ts';

const MAX = 1024 * 1024;

async function newFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-spool-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const open = (folder: string, more: { maxBytes?: number; segmentBytes?: number } = {}): Promise<Spool> =>
  Spool.open({ folder, maxBytes: MAX, segmentBytes: 1000, log: quiet, ...more });

/** Takes everything that waits. */
async function takeAll(spool: Spool, pageBytes = 300): Promise<SinkRecord[]> {
  const taken: SinkRecord[] = [];
  for (;;) {
    const page = await spool.peek(pageBytes);
    if (!page) return taken;
    taken.push(...page.records);
    await spool.advance(page);
  }
}

const segmentsOf = async (folder: string): Promise<string[]> =>
  (await readdir(folder)).filter((name) => name.endsWith('.log')).sort();

t.test('in order, over many segments, with everything that a record holds', async (t) => {
  const folder = await newFolder(t);
  const spool = await open(folder);
  const records = Array.from({ length: 50 }, (_, n) => recordOf('a', n, n * 7));
  // Appends that wait together are one write, in one segment.
  for (let n = 0; n < 50; n += 5) await Promise.all(records.slice(n, n + 5).map((record) => spool.append([record])));
  t.equal(spool.records, 50);
  t.ok((await segmentsOf(folder)).length > 3);
  t.same(await takeAll(spool), records);
  t.equal(spool.records, 0);
  t.ok(spool.isEmpty);
  t.equal((await segmentsOf(folder)).length, 1, 'the disk has what was taken no longer');
  await spool.close();
});

t.test('what does not fit is refused whole, and fits when some was taken', async (t) => {
  const spool = await open(await newFolder(t), { maxBytes: 1000 });
  const one = encodeFrame(recordOf('a', 1)).length;
  const fitting = Math.floor(1000 / one);
  const all = Array.from({ length: fitting + 3 }, (_, n) => spool.append([recordOf('a', n)]));
  const results = await Promise.allSettled(all);
  t.same(
    results.map(({ status }) => status),
    results.map((_, n) => (n < fitting ? 'fulfilled' : 'rejected')),
  );
  await t.rejects(spool.append([recordOf('a', 99)]), { code: 'RIDE_UNAVAILABLE', message: /holds as much as it may/ });
  await takeAll(spool);
  await spool.append([recordOf('a', 100)]);
  t.same(
    (await takeAll(spool)).map(({ id }) => id),
    ['a/100'],
  );
  await spool.close();
});

t.test('like a list, whatever is done, and however often it is opened again', async (t) => {
  const step = fc.oneof(
    fc.record({
      do: fc.constant('append' as const),
      sizes: fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 1, maxLength: 5 }),
    }),
    fc.record({ do: fc.constant('take' as const), bytes: fc.integer({ min: 1, max: 2000 }) }),
    fc.record({ do: fc.constant('look' as const), bytes: fc.integer({ min: 1, max: 2000 }) }),
    fc.record({ do: fc.constant('open' as const) }),
  );
  await t.resolves(
    fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const folder = await mkdtemp(join(tmpdir(), 'ridestream-spool-'));
        let spool = await open(folder);
        let model: SinkRecord[] = [];
        let n = 0;
        try {
          for (const one of steps) {
            if (one.do === 'append') {
              const records = one.sizes.map((bytes) => recordOf('k', n++, bytes));
              await spool.append(records);
              model.push(...records);
            } else if (one.do === 'open') {
              await spool.close();
              spool = await open(folder);
            } else {
              const page = await spool.peek(one.bytes);
              if (!page) {
                if (model.length > 0) throw new Error(`nothing to read, but ${model.length} wait`);
                continue;
              }
              const ids = page.records.map(({ id }) => id).join();
              const expected = model
                .slice(0, page.records.length)
                .map(({ id }) => id)
                .join();
              if (ids !== expected) throw new Error(`read ${ids} instead of ${expected}`);
              if (one.do === 'look') continue;
              await spool.advance(page);
              model = model.slice(page.records.length);
            }
            if (spool.records !== model.length) throw new Error(`counts ${spool.records} of ${model.length}`);
          }
          const rest = await takeAll(spool);
          if (rest.map(({ id }) => id).join() !== model.map(({ id }) => id).join()) throw new Error('the rest differs');
        } finally {
          await spool.close();
          await rm(folder, { recursive: true });
        }
      }),
      { numRuns: 60 },
    ),
  );
});

t.test('an end that was not written whole is cut off, wherever the crash came', async (t) => {
  const folder = await newFolder(t);
  const spool = await open(folder, { segmentBytes: MAX });
  await spool.append([recordOf('a', 1), recordOf('a', 2)]);
  await spool.append([recordOf('a', 3)]);
  await spool.close();
  const [name] = await segmentsOf(folder);
  const whole = await readFile(join(folder, name!));
  const two = encodeFrame(recordOf('a', 1)).length * 2;
  for (let cut = two; cut < whole.length; cut++) {
    const copy = await newFolder(t);
    await writeFile(join(copy, name!), whole.subarray(0, cut));
    const again = await open(copy);
    t.equal(again.records, 2, `cut at ${cut}`);
    await again.append([recordOf('a', 4)]);
    t.same(
      (await takeAll(again)).map(({ id }) => id),
      ['a/1', 'a/2', 'a/4'],
    );
    await again.close();
  }
});

t.test('a frame that the disk damaged costs itself only, and garbage behind the end nothing', async (t) => {
  const folder = await newFolder(t);
  const spool = await open(folder, { segmentBytes: MAX });
  for (let n = 1; n <= 4; n++) await spool.append([recordOf('a', n)]);
  await spool.close();
  const [name] = await segmentsOf(folder);
  const file = join(folder, name!);
  const bytes = await readFile(file);
  const one = encodeFrame(recordOf('a', 1)).length;
  bytes[one + one - 3]! ^= 0xff;
  await writeFile(file, bytes);
  await appendFile(file, Buffer.alloc(13, 0xff));
  const again = await open(folder);
  t.equal(again.records, 3);
  t.same(
    (await takeAll(again, 10)).map(({ id }) => id),
    ['a/1', 'a/3', 'a/4'],
  );
  await again.close();
  t.equal(readFrames(bytes).damaged, 1);
});

t.test('a cursor that is lost, damaged or behind the end means repeats, never a loss', async (t) => {
  for (const cursor of ['', 'rubbish', '{"segment":1,"offset":999999}', null]) {
    const folder = await newFolder(t);
    const spool = await open(folder, { segmentBytes: MAX });
    await spool.append([recordOf('a', 1), recordOf('a', 2)]);
    const page = (await spool.peek(1))!;
    await spool.advance(page);
    await spool.close();
    const [name] = await segmentsOf(folder);
    t.equal(Number.parseInt(name!, 10), 1);
    if (cursor === null) await rm(join(folder, 'cursor'));
    else await writeFile(join(folder, 'cursor'), cursor);
    const again = await open(folder);
    t.same(
      (await takeAll(again)).map(({ id }) => id),
      ['a/1', 'a/2'],
      String(cursor),
    );
    await again.close();
  }
});

t.test('a write that fails is refused and leaves nothing behind that hides later ones', async (t) => {
  const folder = await newFolder(t);
  const spool = await open(folder, { segmentBytes: 100 });
  await spool.append([recordOf('a', 1)]);
  const [name] = await segmentsOf(folder);
  // The next segment cannot be made: something has its name.
  const next = `${String(Number.parseInt(name!, 10) + 1).padStart(16, '0')}.log`;
  await writeFile(join(folder, next), 'x');
  await t.rejects(spool.append([recordOf('a', 2)]), { code: 'RIDE_UNAVAILABLE', message: /cannot be written/ });
  await truncate(join(folder, next));
  await rm(join(folder, next));
  await spool.append([recordOf('a', 3)]);
  t.same(
    (await takeAll(spool)).map(({ id }) => id),
    ['a/1', 'a/3'],
  );
  await spool.close();
});

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));

/** Lets the child append until so many were acknowledged, kills it, and gives the ids that were. */
async function killInTheMiddle(t: Test, folder: string, round: number, enough: number): Promise<string[]> {
  const child: ChildProcess = spawn(process.execPath, [CHILD, folder, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const acknowledged: string[] = [];
  for await (const line of createInterface({ input: child.stdout! })) {
    acknowledged.push(line);
    if (acknowledged.length === enough) child.kill('SIGKILL');
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  t.equal(child.signalCode, 'SIGKILL', 'it did not end by itself');
  return acknowledged;
}

t.test(
  'kill -9 while it is written to and read: nothing that was acknowledged is lost, and the order holds',
  async (t) => {
    const folder = await newFolder(t);
    const acknowledged: string[] = [];
    for (let round = 0; round < 4; round++) {
      acknowledged.push(...(await killInTheMiddle(t, folder, round, 150 + round * 37)));
    }
    const spool = await open(folder, { segmentBytes: 4096, maxBytes: 64 * MAX });
    const left = await takeAll(spool);
    await spool.close();
    // What the children took they wrote down; the same record may have been taken before and after a kill.
    const log = (await readFile(join(folder, 'taken.txt'), 'utf8')).split('\n').filter((line) => line !== '');
    const all = [...log, ...left.map(({ id }) => id)];
    const first = [...new Set(all)];
    const has = new Set(first);
    t.same(
      acknowledged.filter((id) => !has.has(id)),
      [],
      'none is lost',
    );
    const order = (id: string): number => Number(id.split('/')[0]!.slice(1)) * 1e6 + Number(id.split('/')[1]);
    t.same(
      first,
      [...first].sort((a, b) => order(a) - order(b)),
      'in the order of the appends',
    );
    t.ok(log.length > 0 && left.length > 0, `${log.length} were taken by the children, ${left.length} were left`);
  },
);
t.end();
