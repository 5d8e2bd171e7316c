/**
 * Document C, property 2: for any message broadcast to a room, all connected clients in that room receive it within 500 ms of the
 * broadcast's beginning; each of them once, and nobody else does.
 */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Message } from '../clients/inbox.ts';
import { connect, type Peer, transports } from '../clients/peer.ts';
import { publisherOn } from '../clients/publisher.ts';
import type { TestServer } from '../helper.ts';
import { type Machine, watchMachine } from '../machine.ts';
import { assignedRide, member } from '../scene.ts';
import { until } from '../until.ts';
import { twoNodes } from './two-nodes.ts';

const WITHIN_MS = 500;
const CLIENTS = 2 * transports.length;
const ROOMS = 3;

type Op = { op: 'broadcast'; room: number; count: number } | { op: 'join' | 'leave'; client: number; room: number };

interface Step {
  does: Op;
  /** The next one does not wait for it. */
  rush: boolean;
}

const room = fc.nat(ROOMS - 1);
const client = fc.nat(CLIENTS - 1);
const step: fc.Arbitrary<Step> = fc.record({
  rush: fc.boolean(),
  does: fc.oneof(
    { weight: 4, arbitrary: fc.record({ op: fc.constant('join' as const), client, room }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('leave' as const), client, room }) },
    {
      weight: 4,
      arbitrary: fc.record({ op: fc.constant('broadcast' as const), room, count: fc.integer({ min: 1, max: 20 }) }),
    },
  ),
});

/** Who is where at first, and what happens then. */
const program = fc.record({
  inside: fc.subarray(
    Array.from({ length: CLIENTS * ROOMS }, (_, i): [number, number] => [i % CLIENTS, Math.floor(i / CLIENTS)]),
  ),
  steps: fc.array(step, { minLength: 1, maxLength: 20 }),
});

interface Room {
  topic: string;
  /** Begins a broadcast; rejects when it is refused. */
  send(id: string): Promise<unknown>;
}

/** A trip whose sides talk, a user's topic, and a zone: what is acknowledged, what is kept, and what is not. */
async function roomsOf(t: Test, [a, b]: [TestServer, TestServer]): Promise<Room[]> {
  const publisher = publisherOn(t, a.redisUrl);
  const ride = await assignedRide(t, a);
  const voices = [
    await connect(t, a.at, 'websocket-json', ride.rider.token),
    await connect(t, b.at, 'grpc', ride.driver.token),
  ];
  const zone = '872a100d2ffffff';
  let said = 0;
  return [
    {
      topic: `trip:${ride.id}`,
      async send(id) {
        const answer = await voices[said++ % 2]!.ask({ chat_send: { trip_id: ride.id, message_id: id, text: id } });
        if (!answer.ack) throw new Error(JSON.stringify(answer));
      },
    },
    {
      topic: 'user:somebody',
      send: (id) =>
        publisher.publishOrdered('user:somebody', 'notification', { id, title: '', body: '', tripId: '' }, id),
    },
    {
      topic: `zone:${zone}`,
      send: async (id) => publisher.publishLatest(`zone:${zone}`, 'zone_broadcast', { zone, city: id, positions: [] }),
    },
  ];
}

const idOf = (m: Message): string | undefined =>
  m.chat_message?.message_id ?? m.notification?.id ?? m.zone_broadcast?.city;

/** A client and what it was sent, by id, with the moments. */
class Guest {
  readonly peer: Peer;
  readonly got = new Map<string, number[]>();
  /** Rooms, and since when it is in them; what it is leaving it is not in. */
  readonly rooms = new Set<number>();
  /** Rooms that it is in or may be in. */
  readonly near = new Set<number>();
  /** How often it went to each room: who came and left again while something was broadcast may have heard it. */
  readonly visits: number[] = new Array(ROOMS).fill(0);
  #last: Promise<unknown> = Promise.resolve();

  constructor(peer: Peer) {
    this.peer = peer;
    peer.inbox.onMessage = (message) => {
      const id = idOf(message);
      if (id === undefined) return;
      const times = this.got.get(id) ?? [];
      this.got.set(id, times);
      times.push(performance.now());
    };
  }

  /** One after the other, as a client does that knows what it wants. */
  async #turn(task: () => Promise<void>): Promise<void> {
    const mine = this.#last.then(task);
    this.#last = mine.catch(() => {});
    return mine;
  }

  join(index: number, { topic }: Room): Promise<void> {
    return this.#turn(async () => {
      this.near.add(index);
      this.visits[index]!++;
      const answer = await this.peer.ask({ subscribe: { topic } });
      if (!answer.subscribed) throw new Error(JSON.stringify(answer));
      this.rooms.add(index);
    });
  }

  leave(index: number, { topic }: Room): Promise<void> {
    return this.#turn(async () => {
      this.rooms.delete(index);
      const answer = await this.peer.ask({ unsubscribe: { topic } });
      if (!answer.ack) throw new Error(JSON.stringify(answer));
      this.near.delete(index);
    });
  }
}

let broadcasts = 0;

/** Resolves what was wrong. */
async function play(
  machine: Machine,
  guests: readonly Guest[],
  rooms: readonly Room[],
  steps: readonly Step[],
): Promise<string[]> {
  const faults: string[] = [];
  const all: Promise<unknown>[] = [];

  async function broadcast(index: number): Promise<void> {
    const id = `b${++broadcasts}`;
    const due = guests.filter(({ rooms: own }) => own.has(index));
    const strangers = guests
      .filter(({ near }) => !near.has(index))
      .map((guest) => ({ guest, visits: guest.visits[index] }));
    const begun = performance.now();
    const [sent] = await Promise.allSettled([rooms[index]!.send(id)]);
    if (sent.status === 'rejected') faults.push(`${id} was refused: ${sent.reason}`);
    // Who leaves meanwhile may miss it.
    const waiting = (): Guest[] => due.filter((guest) => guest.rooms.has(index) && !guest.got.has(id));
    await until(() => waiting().length === 0, 'all to have it').catch(() => {});
    for (const guest of waiting()) faults.push(`${id} of ${rooms[index]!.topic} never came to ${guest.peer.transport}`);
    for (const guest of due) {
      const gotAt = guest.got.get(id)?.[0] ?? begun;
      // What a busy machine takes for anything is not the broadcast's.
      const tookMs = gotAt - begun - machine.stoodMs(begun, gotAt);
      if (tookMs > WITHIN_MS) faults.push(`${id} took ${tookMs.toFixed()} ms to ${guest.peer.transport}`);
    }
    for (const guest of guests) {
      if ((guest.got.get(id)?.length ?? 0) > 1) faults.push(`${id} came twice to ${guest.peer.transport}`);
    }
    const eavesdroppers = strangers.filter(({ guest, visits }) => guest.visits[index] === visits && guest.got.has(id));
    if (eavesdroppers.length > 0) faults.push(`${id} came to ${eavesdroppers.length} who are not in the room`);
  }

  for (const { does, rush } of steps) {
    const done =
      does.op === 'broadcast'
        ? Promise.all(Array.from({ length: does.count }, () => broadcast(does.room)))
        : guests[does.client]![does.op](does.room, rooms[does.room]!);
    all.push(done);
    if (!rush) await done;
  }
  try {
    await Promise.all(all);
  } finally {
    for (const guest of guests) for (const index of [...guest.near]) await guest.leave(index, rooms[index]!);
  }
  return faults;
}

t.test('whoever is in a room gets what is broadcast to it, soon and once', async (t) => {
  const nodes = await twoNodes(t);
  const machine = await watchMachine(t, nodes[0].redisUrl);
  const rooms = await roomsOf(t, nodes);
  const guests: Guest[] = [];
  for (const node of nodes) {
    for (const transport of transports) {
      const { token } = await member(node, 'admin');
      guests.push(new Guest(await connect(t, node.at, transport, token)));
    }
  }
  const property = fc.asyncProperty(program, async ({ inside, steps }) => {
    await Promise.all(inside.map(([one, index]) => guests[one]!.join(index, rooms[index]!)));
    const faults = await play(machine, guests, rooms, steps);
    if (faults.length > 0) throw new Error(faults.join('\n'));
  });
  await t.resolves(fc.assert(property, { numRuns: 100, interruptAfterTimeLimit: 30_000, includeErrorInReport: true }));
});
t.end();
