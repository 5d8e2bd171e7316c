/** Several processes on one store, and processes killed in the middle of writing. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import type { Collection } from '../../../src/ports/store.ts';
import type { Cases } from '../store.ts';
import { openAt, type Place, REGION, type Thing, thing } from './place.ts';

export const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));
/** Writes that a victim must have had acknowledged before it is killed. */
const ENOUGH = 300;

function start(t: Test, place: Place, ...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(place), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

/**
 * Lets the victim write until `enough` writes are acknowledged, kills it, and gives the highest acknowledged version by
 * id.
 */
async function killInTheMiddle(child: ChildProcess, enough: number): Promise<Map<string, number>> {
  const acknowledged = new Map<string, number>();
  let lines = 0;
  for await (const line of createInterface({ input: child.stdout! })) {
    const [id, version] = line.split(' ');
    if (!version) continue;
    acknowledged.set(id!, Math.max(acknowledged.get(id!) ?? 0, Number(version)));
    if (++lines === enough) child.kill('SIGKILL');
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  if (child.signalCode !== 'SIGKILL') throw new Error(`the victim ended by itself after ${lines} writes`);
  return acknowledged;
}

/** Every document with exactly the events of its versions: a write that was cut in two would show here. */
export async function checkWhole(t: Test, things: Collection<Thing>): Promise<number> {
  let checked = 0;
  let pageToken: string | undefined;
  do {
    const page = await things.page({ where: { status: { exists: true } }, pageSize: 1000, pageToken });
    for (const document of page.items) {
      checked++;
      const seqs = (await things.outboxOf(document.id)).map((event) => event.seq);
      const expected = Array.from({ length: document.version }, (_, i) => i + 1);
      if (seqs.join() !== expected.join()) t.fail(`${document.id} at ${document.version} has events ${seqs}`);
      if (document.status !== `v${document.version}`)
        t.fail(`${document.id} at ${document.version} is ${document.status}`);
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== undefined);
  return checked;
}

export async function checkAcknowledged(
  t: Test,
  things: Collection<Thing>,
  acknowledged: Map<string, number>,
): Promise<void> {
  const found = new Map((await things.getMany([...acknowledged.keys()])).map((one) => [one.id, one.version]));
  const lost = [...acknowledged].filter(([id, version]) => (found.get(id) ?? 0) < version);
  t.strictSame(lost, [], 'no acknowledged write is lost');
}

export const crashCases: Cases = {
  'a process killed while it writes: what was acknowledged is there, and nothing is half there': async (t, place) => {
    const { things } = await openAt(t, place);
    for (let round = 0; round < 3; round++) {
      const acknowledged = await killInTheMiddle(start(t, place, 'write'), ENOUGH + round * 41);
      t.ok(acknowledged.size > 0);
      await checkAcknowledged(t, things, acknowledged);
    }
    const again = await openAt(t, place);
    const checked = await checkWhole(t, again.things);
    t.ok(checked >= (3 * ENOUGH) / 4, `${checked} documents`);
  },

  'a process killed while another writes to the same store: the other goes on': async (t, place) => {
    const victim = start(t, place, 'write');
    const survivor = start(t, place, 'write');
    const [first, second] = await Promise.all([killInTheMiddle(victim, ENOUGH), killInTheMiddle(survivor, 4 * ENOUGH)]);
    const { things } = await openAt(t, place);
    await checkAcknowledged(t, things, first);
    await checkAcknowledged(t, things, second);
    await checkWhole(t, things);
  },

  'two processes at once: no update is lost, and each sees what the other wrote': async (t, place) => {
    const { things } = await openAt(t, place);
    const times = 60;
    const counters = [0, 1, 2].map((i) => ({ ...thing({ n: 0 }), id: `counter-${i}`, region: REGION }));
    for (const counter of counters) await things.insert(counter);
    const children = ['left', 'right'].map((name) => start(t, place, 'contend', name, String(times)));
    const codes = await Promise.all(children.map(async (child) => (await once(child, 'exit'))[0]));
    t.strictSame(codes, [0, 0], 'both got through and ended by themselves');
    for (const { id } of counters) {
      const counter = await things.get(id);
      t.equal(counter?.n, 2 * times);
      t.equal(counter?.version, 2 * times + 1);
      const events = await things.outboxOf(id);
      t.strictSame(
        events.map((event) => event.seq),
        Array.from({ length: 2 * times }, (_, i) => i + 2),
      );
      const byLeft = events.filter((event) => event.data.by === 'left').length;
      t.equal(byLeft, times, 'each as often as the other');
    }
    t.equal(await things.count({ status: 'left' }), 3 * times);
    t.equal(await things.count({ status: 'right' }), 3 * times);
  },

  'a write that resolved is read by any other instance at once': async (t, place) => {
    const { things } = await openAt(t, place);
    const other = await openAt(t, place);
    for (let i = 0; i < 60; i++) {
      const one = thing({ n: i });
      await things.insert(one);
      t.strictSame(await other.things.get(one.id), one);
      const changed = { ...one, version: 2, n: -i };
      await other.things.compareAndSet(changed);
      t.strictSame(await things.get(one.id), changed);
    }
  },
};
