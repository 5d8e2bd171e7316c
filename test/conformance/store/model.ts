/**
 * Random operations on the store and on a plain in-memory model of the port, answer for answer. The model is written
 * from the port's promises, not from an adapter.
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { RideError } from '../../../src/errors.ts';
import type { Collection, FieldValue, Filter, OutboxEvent } from '../../../src/ports/store.ts';
import type { Cases } from '../store.ts';
import { type Operation, operations } from './model-operations.ts';
import { eventOf, openAt, REGION, type Thing } from './place.ts';

const LATE = Number.MAX_SAFE_INTEGER;

function at(document: Thing, path: string): FieldValue {
  let value: unknown = document;
  for (const name of path.split('.')) value = (value as Record<string, unknown> | null | undefined)?.[name];
  return (value ?? null) as FieldValue;
}

/** -1, 0 or 1; numbers before strings, as far as that is asked. */
function compare(a: FieldValue, b: FieldValue): number {
  if (a === b) return 0;
  return a! < b! ? -1 : 1;
}

function matches(document: Thing, where: Filter): boolean {
  return Object.entries(where).every(([path, wanted]) => {
    const value = at(document, path);
    if (wanted === null || typeof wanted !== 'object') return value === wanted;
    if ('in' in wanted) return wanted.in.includes(value);
    if ('exists' in wanted) return (value !== null) === wanted.exists;
    return Object.entries(wanted).every(([operator, bound]) => {
      if (typeof value !== typeof bound) return false;
      const order = compare(value, bound);
      return { gt: order > 0, gte: order >= 0, lt: order < 0, lte: order <= 0 }[operator];
    });
  });
}

class Model {
  readonly documents = new Map<string, Thing>();
  readonly events = new Map<string, OutboxEvent[]>();

  /** What a write answers when unique indexes stand against it: the port does not say which of several is named. */
  #clashes(document: Thing): string[] {
    const taken = new Set<string>();
    for (const other of this.documents.values()) {
      if (other.id === document.id) continue;
      if (at(document, 'run') === at(other, 'run') && at(document, 'code') === at(other, 'code'))
        taken.add('taken code');
      if (at(document, 'handle') !== null && at(document, 'handle') === at(other, 'handle')) taken.add('taken handle');
    }
    return [...taken];
  }

  /** The answers that are right; the change is made when it is `stored`. */
  insert(document: Thing, events: readonly OutboxEvent[]): string[] {
    if (this.documents.has(document.id)) return ['taken id'];
    const clashes = this.#clashes(document);
    if (clashes.length > 0) return clashes;
    this.documents.set(document.id, document);
    this.events.set(document.id, [...events]);
    return ['stored'];
  }

  compareAndSet(document: Thing, events: readonly OutboxEvent[]): string[] {
    if (this.documents.get(document.id)?.version !== document.version - 1) return ['lost'];
    const clashes = this.#clashes(document);
    if (clashes.length > 0) return clashes;
    this.documents.set(document.id, document);
    this.events.get(document.id)!.push(...events);
    return ['stored'];
  }

  acknowledge(id: string, eventIds: readonly string[]): void {
    const left = (this.events.get(id) ?? []).filter((event) => !eventIds.includes(event.id));
    if (this.documents.has(id)) this.events.set(id, left);
  }

  find(where: Filter, orderBy: string, direction: 'asc' | 'desc'): Thing[] {
    const rank = (one: Thing): FieldValue => at(one, orderBy);
    const sign = direction === 'asc' ? 1 : -1;
    return [...this.documents.values()]
      .filter((one) => matches(one, where))
      .sort((a, b) => {
        const [x, y] = [rank(a), rank(b)];
        const missing = Number(x !== null) - Number(y !== null);
        return sign * (missing || compare(x, y) || compare(a.id, b.id));
      });
  }

  removable(where: Filter): string[] {
    return this.find(where, 'id', 'asc')
      .map((one) => one.id)
      .filter((id) => this.events.get(id)!.length === 0);
  }
}

async function outcome(write: Promise<unknown>): Promise<string> {
  try {
    return (await write) === false ? 'lost' : 'stored';
  } catch (error) {
    if (error instanceof RideError && error.code === 'RIDE_ALREADY_EXISTS') return `taken ${error.facts?.index}`;
    throw error;
  }
}

/** One run; all its documents carry `run`, so that runs share a store without meeting. */
class Run {
  readonly #things: Collection<Thing>;
  readonly #run: string;
  readonly #model = new Model();

  constructor(things: Collection<Thing>, run: string) {
    this.#things = things;
    this.#run = run;
  }

  #same(actual: unknown, expected: unknown, what: string): void {
    if (isDeepStrictEqual(actual, expected)) return;
    throw new Error(`${what}: the store says ${JSON.stringify(actual)}, the model ${JSON.stringify(expected)}`);
  }

  #oneOf(answer: string, right: readonly string[], what: string): void {
    if (!right.includes(answer)) throw new Error(`${what}: the store says ${answer}, the model ${right.join(' or ')}`);
  }

  #document(index: number, version: number, drawn: object): Thing {
    const base = {
      id: `${this.#run}-${index}`,
      region: REGION,
      createdAt: 1000 + (index % 3),
      version,
      run: this.#run,
    };
    const document: Thing = { ...base, ...structuredClone(drawn) };
    if (document.handle) document.handle = `${this.#run}-${document.handle}`;
    return JSON.parse(JSON.stringify(document));
  }

  #events(document: Thing, count: number): OutboxEvent[] {
    const past = document.version * 3;
    return Array.from({ length: count }, (_, i) => ({
      ...eventOf(document, past + i),
      id: `e${past + i}`,
      seq: past + i,
    }));
  }

  async apply(operation: Operation): Promise<void> {
    const [things, model] = [this.#things, this.#model];
    if (operation.kind === 'insert') {
      const document = this.#document(operation.which, 1, operation.fields);
      const events = this.#events(document, operation.events);
      const right = model.insert(document, events);
      this.#oneOf(await outcome(things.insert(document, events)), right, 'insert');
    } else if (operation.kind === 'change') {
      const seen = model.documents.get(`${this.#run}-${operation.which}`)?.version ?? 1;
      const document = this.#document(operation.which, seen + (operation.stale === 0 ? 2 : 1), operation.fields);
      const events = this.#events(document, operation.events);
      const right = model.compareAndSet(document, events);
      this.#oneOf(await outcome(things.compareAndSet(document, events)), right, 'compareAndSet');
    } else if (operation.kind === 'acknowledge') {
      const id = `${this.#run}-${operation.which}`;
      const waiting = model.events.get(id) ?? [];
      const ids = operation.some.map((i) => waiting[i]?.id ?? 'unknown');
      await things.acknowledge(id, ids);
      model.acknowledge(id, ids);
    } else if (operation.kind === 'remove') {
      await this.#remove(operation.where, operation.limit);
    } else if (operation.kind === 'page') {
      await this.#walk(operation);
    } else {
      await this.#pending();
    }
  }

  async #remove(drawn: Filter, limit: number): Promise<void> {
    const where = { ...drawn, run: this.#run };
    const removable = this.#model.removable(where);
    this.#same(await this.#things.remove(where, limit), Math.min(limit, removable.length), 'remove');
    const left = new Set((await this.#things.getMany([...this.#model.documents.keys()])).map((one) => one.id));
    for (const id of this.#model.documents.keys()) {
      if (left.has(id)) continue;
      if (!removable.includes(id)) throw new Error(`remove took ${id}`);
      this.#model.documents.delete(id);
      this.#model.events.delete(id);
    }
  }

  async #walk({ where: drawn, orderBy, direction, pageSize }: Extract<Operation, { kind: 'page' }>): Promise<void> {
    const where = { ...drawn, run: this.#run };
    const expected = this.#model.find(where, orderBy, direction);
    const found: Thing[] = [];
    let pageToken: string | undefined;
    do {
      const page = await this.#things.page({ where, orderBy, direction, pageSize, pageToken });
      found.push(...page.items);
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined && found.length <= expected.length);
    this.#same(found, expected, `page by ${orderBy} ${direction} where ${JSON.stringify(where)}`);
    this.#same(await this.#things.count(where), expected.length, 'count');
  }

  async #pending(): Promise<void> {
    const found = (await this.#things.pending(LATE, 1000)).filter((one) => one.document.run === this.#run);
    const first = (events: readonly OutboxEvent[]): number => Math.min(...events.map((event) => event.at));
    const dates = found.map((one) => first(one.events));
    this.#same(
      dates,
      dates.toSorted((a, b) => a - b),
      'pending, its order',
    );
    const expected = [...this.#model.documents.values()].filter((one) => this.#model.events.get(one.id)!.length > 0);
    const byId = (a: { document: Thing }, b: { document: Thing }): number => compare(a.document.id, b.document.id);
    this.#same(
      found.sort(byId),
      expected.map((document) => ({ document, events: this.#model.events.get(document.id) })).sort(byId),
      'pending',
    );
  }

  /** Everything, at the end; empties the outbox for the runs to come. */
  async finish(): Promise<void> {
    await this.#pending();
    for (const [id, document] of this.#model.documents) {
      this.#same(await this.#things.get(id), document, 'get');
      const events = await this.#things.outboxOf(id);
      this.#same(events, this.#model.events.get(id), 'outboxOf');
      await this.#things.acknowledge(
        id,
        events.map((event) => event.id),
      );
    }
    this.#same(await this.#things.count({ run: this.#run }), this.#model.documents.size, 'count of the run');
  }
}

export const modelCases: Cases = {
  'random operations answer as a plain model of the port does': async (t, place) => {
    const { things } = await openAt(t, place);
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(operations, { minLength: 5, maxLength: 40, size: 'max' }), async (drawn) => {
        const run = new Run(things, `run${runs++}`);
        for (const operation of drawn) await run.apply(operation);
        await run.finish();
      }),
      { numRuns: 60, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
    );
    t.ok(runs >= 20, `${runs} runs`);
  },
};
