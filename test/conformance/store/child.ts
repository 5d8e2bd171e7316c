/**
 * A process of its own on a store, for crash.ts. Arguments: the place as JSON, the mode, and for `contend` its own name
 * and how often.
 *  - `write`: inserts and changes documents until it is killed, and prints `id version` of each write that resolved;
 *  - `fill`: inserts until a write is refused, prints `refused CODE` then, tries once more to read, and ends;
 *  - `contend`: adds 1 to shared counters that often, inserts as many documents, prints `done`, and ends by itself.
 */
import { createStoreAt, eventOf, next, type Place, THINGS, type Thing, thing } from './place.ts';

const [placeJson, mode, name, times] = process.argv.slice(2);
const place = JSON.parse(placeJson!) as Place;
const store = await createStoreAt(place);
const things = store.collection(THINGS);
await store.open();

/** Synchronous for a pipe: what is printed has left this process. */
function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function writeForever(): Promise<void> {
  for (;;) {
    let document = thing({ note: 'x'.repeat(Math.random() * 3000), status: 'v1' });
    await things.insert(document, [eventOf(document)]);
    say(`${document.id} 1`);
    for (let i = 0; i < 3; i++) {
      document = next<Thing>(document, { status: `v${document.version + 1}` });
      if (!(await things.compareAndSet(document, [eventOf(document)]))) throw new Error('a lone writer lost');
      say(`${document.id} ${document.version}`);
    }
  }
}

async function contend(counter: number): Promise<void> {
  for (let i = 0; i < Number(times); i++) {
    for (let added = false; !added; ) {
      const seen = (await things.get(`counter-${counter}`))!;
      const changed = next(seen, { n: seen.n! + 1 });
      added = await things.compareAndSet(changed, [{ ...eventOf(changed), data: { by: name } }]);
    }
    await things.insert(thing({ status: name }));
  }
}

async function fill(): Promise<void> {
  for (;;) {
    const one = thing({ note: 'x'.repeat(3000), status: 'v1' });
    try {
      await things.insert(one, [eventOf(one)]);
    } catch (error) {
      say(`refused ${(error as { code: string }).code}`);
      return;
    }
    say(`${one.id} 1`);
  }
}

if (mode === 'fill') {
  await Promise.all(Array.from({ length: 8 }, fill));
  await things.get('nobody');
  await store.close();
} else if (mode === 'write') {
  say('open');
  await Promise.all(Array.from({ length: 24 }, writeForever));
} else {
  await Promise.all([0, 1, 2].map(contend));
  await store.close();
  say('done');
}
