/**
 * Readers of a topic and a log of what was published to it: random programs of both are played against a real node, and then
 * everything that each reader was sent is held against the log.
 */
import fc from 'fast-check';
import type { Frame } from '../../src/realtime/frame.ts';
import type { SubscribeResult } from '../../src/realtime/messages/definition.ts';
import type { Session } from '../../src/realtime/session.ts';
import { until } from '../until.ts';
import { eventIdOf, type Node, type Peer } from './node.ts';

interface Place {
  epoch: string;
  offset: number;
}

/** Everything that was published, in order, with its place in the topic. */
class Log {
  /** The last message did not reach the listeners. */
  lastLost = false;
  /** Redis has lost what it remembered once. */
  forgotten = false;
  readonly entries: (Place & { id: string })[] = [];

  /** Of the last message up to there; offset 0 is before the first of its epoch. */
  indexOf({ epoch, offset }: Place): number {
    if (offset === 0) return this.entries.findIndex((entry) => entry.epoch === epoch) - 1;
    return this.entries.findIndex((entry) => entry.epoch === epoch && entry.offset === offset);
  }
}

/** One subscription of one session: from where, what the server said, and what came. */
interface Stay {
  since: Place | undefined;
  /** The session followed the topic before, so live messages may have been on their way. */
  again: boolean;
  result: SubscribeResult;
  /** What came before the call to subscribe is not of this stay. */
  from: number;
  to?: number;
}

/** What comes after this place is due to the reader. */
const startOf = ({ since, result }: Stay): Place => (result.recovered && since ? since : result);

/** A client as it should be: it remembers where it is and asks for what came after it. */
class Reader {
  readonly node: Node;
  readonly topic: string;
  session: Session | null = null;
  peer: Peer | null = null;
  stays: Stay[] = [];
  last: Place | undefined;
  /** Stays that ended before everything came. */
  readonly past: { stay: Stay; frames: Frame[] }[] = [];
  readonly faults: string[] = [];

  constructor(node: Node, topic: string) {
    this.node = node;
    this.topic = topic;
  }

  get ordered(): Frame[] {
    return this.peer!.frames.filter((frame) => frame.offset > 0);
  }

  get position(): Place | undefined {
    const frame = this.peer ? this.ordered.at(-1) : undefined;
    if (frame) return { epoch: frame.epoch, offset: frame.offset };
    const result = this.stays.at(-1)?.result;
    return result ? { epoch: result.epoch, offset: result.offset } : this.last;
  }

  async subscribe(where: 'now' | 'start' | 'last'): Promise<void> {
    if (this.peer?.closed) this.leave();
    if (!this.session) Object.assign(this, this.node.connect());
    const places = { now: undefined, start: { epoch: '', offset: 0 }, last: this.position };
    const since = places[where];
    const from = this.ordered.length;
    const session = this.session!;
    try {
      const result = await this.node.broker.subscribe(session, this.topic, since);
      // The answer goes out behind the replay.
      this.node.broker.flush();
      // Without a position a session that follows the topic already just goes on.
      if (this.session === session && (since || this.stays.length === 0)) {
        this.stays.push({ since, again: this.stays.length > 0, result, from });
      }
    } catch (error) {
      if (!session.closed) throw error;
      // Part of the replay may have been written, but nobody can say how much of what came since belongs to it.
      const before = this.stays.at(-1);
      if (before) before.to = from;
    }
  }

  leave(): void {
    if (!this.session) return;
    this.node.broker.flush();
    this.last = this.position;
    const stay = this.stays.at(-1);
    if (stay) this.past.push({ stay, frames: this.ordered.slice(stay.from, stay.to) });
    this.node.broker.lost(this.session);
    this.session = null;
    this.peer = null;
    this.stays = [];
  }

  /** Holds what came against the log, everything to its end if the session is still there. */
  check(log: Log): void {
    for (const { stay, frames } of this.past) this.#checkStay(log, stay, frames, false);
    const stay = this.session && this.stays.at(-1);
    if (stay) this.#checkStay(log, stay, this.ordered.slice(stay.from, stay.to), stay.to === undefined);
  }

  #checkStay(log: Log, stay: Stay, frames: readonly Frame[], whole: boolean): void {
    const got = frames.map((frame) => log.indexOf(frame));
    const say = (what: string): void =>
      void this.faults.push(`${what}: ${JSON.stringify({ stay, got, log: log.entries })}`);
    if (got.includes(-1)) say('something that was never published');
    const start = startOf(stay);
    const begins = stay.again ? [...got.keys(), got.length] : [0];
    const run = begins.map((at) => got.slice(at)).find((tail) => this.#follows(log, start, tail));
    if (!run) say('not what follows');
    else if (whole && (run.at(-1) ?? log.indexOf(start)) !== log.entries.length - 1) say('the end is missing');
  }

  #follows(log: Log, start: Place, got: readonly number[]): boolean {
    // The topic was empty: whatever begins then begins with its first message.
    if (start.epoch === '' && got.length > 0 && log.entries[got[0]!]?.offset !== 1) return false;
    const first = start.epoch === '' ? got[0] : log.indexOf(start) + 1;
    return got.every((index, i) => index === (first ?? 0) + i);
  }
}

type Op =
  | { op: 'publish'; lost: boolean }
  | { op: 'latest' | 'forget' | 'cut' | 'settle' }
  | { op: 'subscribe'; reader: number; where: 'now' | 'start' | 'last' }
  | { op: 'leave'; reader: number };

const READERS = 3;
const reader = fc.nat(READERS - 1);
/** Something that happens; with `rush` the next thing does not wait for it. */
export interface Happening {
  rush: boolean;
  does: Op;
}

export const happening: fc.Arbitrary<Happening> = fc.record({
  rush: fc.boolean(),
  does: fc.oneof(
    { weight: 8, arbitrary: fc.record({ op: fc.constant('publish' as const), lost: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('latest' as const) }) },
    {
      weight: 6,
      arbitrary: fc.record({
        op: fc.constant('subscribe' as const),
        reader,
        where: fc.constantFrom('now' as const, 'start' as const, 'last' as const),
      }),
    },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('leave' as const), reader }) },
    { weight: 3, arbitrary: fc.constantFrom<Op>({ op: 'forget' }, { op: 'cut' }, { op: 'cut' }, { op: 'settle' }) },
  ),
});

let runs = 0;

/** Resolves what was wrong, one sentence each. */
export async function play(node: Node, ops: readonly Happening[]): Promise<string[]> {
  const topic = `trip:run-${++runs}`;
  const memory = `memory:{${topic}}`;
  const log = new Log();
  const readers = Array.from({ length: READERS }, () => new Reader(node, topic));
  /** At most one subscribe of a reader at a time; what else goes on does not wait. */
  const busy = new Map<Reader, Promise<void>>();
  const all: Promise<unknown>[] = [];
  let published = 0;

  async function publish(lost: boolean): Promise<void> {
    const id = `${topic}-${++published}`;
    log.lastLost = lost;
    const done = node.publish(topic, id, lost);
    // On the same connection, so right after it.
    const { epoch, offset } = await node.bus.position(topic);
    log.entries.push({ id, epoch, offset });
    await done;
  }

  /** Resolves when the node listens, or has no reader to listen for. */
  async function listening(): Promise<void> {
    const anyone = (): boolean => readers.some(({ session }) => session?.subscriptions.get(topic) !== undefined);
    await until(async () => !anyone() || (await node.listeners(topic)) > 0, 'the node to listen again');
  }

  async function run(does: Op): Promise<void> {
    switch (does.op) {
      case 'publish':
        return publish(does.lost);
      case 'latest':
        return node.bus.publish(topic, Buffer.alloc(0));
      case 'forget':
        // A connection does not swallow a message and live on; what one that broke has swallowed is looked for when it is back.
        // Once: a reader between two of them within milliseconds may get more than it needs.
        if (log.forgotten) return;
        log.forgotten = true;
        // Behind what was published before.
        void node.bus.position(topic);
        return void (await Promise.all([
          log.lastLost ? publish(false) : null,
          node.redis.del(memory, `history:{${topic}}`),
        ]));
      case 'cut':
        return node.cutListener();
      case 'settle':
        return listening();
      case 'subscribe': {
        const one = readers[does.reader]!;
        const next = (busy.get(one) ?? Promise.resolve()).then(() => one.subscribe(does.where));
        busy.set(one, next);
        return next;
      }
      case 'leave': {
        const one = readers[does.reader]!;
        const next = (busy.get(one) ?? Promise.resolve()).then(() => one.leave());
        busy.set(one, next);
        return next;
      }
    }
  }

  for (const { rush, does } of ops) {
    const done = run(does);
    all.push(done);
    if (!rush) await done;
  }
  await Promise.all(all);
  await listening();
  await publish(false);
  const end = log.entries.at(-1)!.id;
  for (const one of readers) {
    if (!one.session) continue;
    const ended = (): boolean => one.peer!.frames.some((frame) => frame.offset > 0 && eventIdOf(frame) === end);
    await until(() => ended() || one.peer!.closed !== null, 'the last message or the end of the session').catch(
      () => void one.faults.push(`the last message never came: ${JSON.stringify(one.stays)}`),
    );
    if (one.peer!.closed === null) continue;
    await one.subscribe('last');
    if (log.indexOf(startOf(one.stays.at(-1)!)) === log.entries.length - 1) continue;
    await until(ended, 'the last message after a resume').catch(() => void one.faults.push('resume'));
  }
  for (const one of readers) {
    one.check(log);
    one.leave();
  }
  return readers.flatMap((one) => one.faults);
}
