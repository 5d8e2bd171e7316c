/**
 * Property 5 over real sockets: for any two users, what one sends beyond his limit never costs the other a message. Two nodes,
 * one Redis, any interleaving of their messages over both nodes and all transports.
 */
import fc from 'fast-check';
import t from 'tap';
import type { Message } from '../clients/inbox.ts';
import { connect, type Peer, transports } from '../clients/peer.ts';
import { beside, build, type TestScope, type TestServer } from '../helper.ts';
import { assignedRide, member } from '../scene.ts';

const LIMIT = 20;
const LEASE = LIMIT / 10;
const env = {
  SOCKET_LIMIT_GENERAL: String(LIMIT),
  SOCKET_LIMIT_LOCATION: String(LIMIT),
  SOCKET_LIMIT_CHAT: String(LIMIT),
  SOCKET_LIMIT_WINDOW: '1h',
};

const isLimited = (answer: Message): boolean => answer.error?.code === 'RIDE_RATE_LIMITED';
/** A message of the general class that needs nothing and does nothing. */
const general = { unsubscribe: { topic: 'zone:none' } };
const messages = {
  general,
  location: { location_update: { lat: 1, lng: 1, recorded_at_ms: 1_700_000_000_000 } },
  chat: { typing: { trip_id: 'none', active: true } },
} as const;
type Kind = keyof typeof messages;

async function twoNodes(t: TestScope): Promise<[TestServer, TestServer]> {
  const a = await build(t, { env });
  return [a, await build(t, { env: { ...env, ...beside(a) } })];
}

interface Step {
  peer: Peer;
  kind: Kind;
}

/** Sends everything, then waits for the answers: how many of each kind were sent, how many let through, and how long to wait. */
async function sendAll(plan: readonly Step[]) {
  const sent = { general: 0, location: 0, chat: 0 };
  const allowed = { general: 0, location: 0, chat: 0 };
  const waits: number[] = [];
  const answer = async ({ peer, kind }: Step): Promise<void> => {
    sent[kind]++;
    const message = await peer.ask({ ...messages[kind] });
    if (isLimited(message)) waits.push(Number(message.error.retry_after_ms));
    else allowed[kind]++;
  };
  await Promise.all(plan.map(answer));
  return { sent, allowed, waits };
}

t.test('one user’s excess never costs another a message', async (t) => {
  const nodes = await twoNodes(t);
  const step = fc.record({
    who: fc.constantFrom('greedy', 'modest'),
    node: fc.constantFrom(0, 1),
    kind: fc.constantFrom<Kind[]>('general', 'location', 'chat'),
  });
  const scenario = fc.record({
    transports: fc.array(fc.constantFrom(...transports), { minLength: 4, maxLength: 4 }),
    steps: fc.array(step, { minLength: 1, maxLength: 200 }),
    excess: fc.integer({ min: LIMIT, max: 3 * LIMIT }),
  });

  await fc.assert(
    fc.asyncProperty(scenario, async ({ transports: chosen, steps, excess }) => {
      const ends: Peer[] = [];
      const scope = { after: () => {} };
      const greedy = await member(nodes[0], 'driver');
      const modest = await member(nodes[0], 'driver');
      for (const [index, { token }] of [greedy, greedy, modest, modest].entries()) {
        ends.push(await connect(scope, nodes[index % 2]!.at, chosen[index]!, token));
      }
      const planned: Record<Kind, number> = { general: 0, location: 0, chat: 0 };
      const greedyPlan: Step[] = [];
      const modestPlan: Step[] = [];
      for (const { who, node, kind } of steps) {
        if (who === 'greedy') greedyPlan.push({ peer: ends[node]!, kind });
        // A lease that lies on the other node is the only thing that may be missing to the limit.
        else if (++planned[kind] <= LIMIT - LEASE) modestPlan.push({ peer: ends[2 + node]!, kind });
      }
      for (let i = 0; i < excess; i++) greedyPlan.push({ peer: ends[i % 2]!, kind: 'general' });

      const [greed, modesty] = await Promise.all([sendAll(greedyPlan), sendAll(modestPlan)]);
      for (const end of ends) end.close();
      if (modesty.waits.length > 0 || greed.waits.some((wait) => !(wait > 0))) return false;
      // Over both nodes a bucket gives what is in it and no more, and no less but for a lease that lies elsewhere.
      return (Object.keys(messages) as Kind[]).every(
        (kind) => greed.allowed[kind] <= LIMIT && greed.allowed[kind] >= Math.min(greed.sent[kind], LIMIT - LEASE),
      );
    }),
    { numRuns: 25, endOnFailure: true },
  );
  t.pass('held for 25 scenarios');
});

t.test('over the limit: an error with the wait, on every transport; the session lives on', async (t) => {
  const [s] = await twoNodes(t);
  for (const transport of transports) {
    const rider = await member(s, 'rider');
    const peer = await connect(t, s.at, transport, rider.token);
    for (let i = 0; i < LIMIT; i++) t.ok((await peer.ask(general)).ack, `${transport} ${i}`);
    const { error } = await peer.ask(general);
    t.equal(error.code, 'RIDE_RATE_LIMITED');
    t.equal(error.retryable, true);
    t.ok(Number(error.retry_after_ms) > 60_000 && Number(error.retry_after_ms) <= 180_000, error.retry_after_ms);
    t.match(error.rule, /at most 20 general messages in 3600 s/);
    for (let i = 0; i < 3 * LIMIT; i++) {
      t.ok((await peer.ask({ heartbeat: {} })).ack, 'heartbeats are free');
      t.ok((await peer.ask({ received: { event_id: 'e' } })).ack, 'acks are free');
    }
    const sos = await peer.ask({ sos_trigger: { lat: 1, lng: 2, note: 'help' } });
    t.ok(sos.ack?.id, 'SOS is free');
  }
});

t.test('what cannot be decoded costs as much as a message', async (t) => {
  const [s] = await twoNodes(t);
  for (const transport of transports) {
    const peer = await connect(t, s.at, transport, (await member(s, 'rider')).token);
    for (let i = 0; i < LIMIT + 5; i++)
      peer.raw(transport === 'websocket-json' ? '{"' : Buffer.from([0xff, 0xff, 0xff]));
    await peer.inbox.find(() => peer.inbox.all.filter((m) => m.error).length === LIMIT + 5, 'an answer to each');
    const codes = peer.inbox.all.filter((m) => m.error).map((m) => m.error.code);
    t.same(
      codes,
      Array.from({ length: LIMIT + 5 }, (_, i) => (i < LIMIT ? 'RIDE_MALFORMED' : 'RIDE_RATE_LIMITED')),
      transport,
    );
  }
});

t.test('a batch of locations costs each of them, also when it is sent in another way', async (t) => {
  const [a, b] = await twoNodes(t);
  const driver = await member(a, 'driver');
  const batch = (count: number, from: number) => ({
    location_batch: {
      updates: Array.from({ length: count }, (_, i) => ({
        lat: 1,
        lng: 1,
        recorded_at_ms: 1_700_000_000_000 + from + i,
      })),
    },
  });
  const first = await connect(t, a.at, 'grpc', driver.token);
  const second = await connect(t, b.at, 'websocket-json', driver.token);
  t.equal((await first.ask(batch(15, 0))).ack?.accepted, 15);
  t.ok(isLimited(await second.ask(batch(6, 20))), 'six more are too many');
  t.equal((await second.ask(batch(3, 20))).ack?.accepted, 3);
  const ride = await assignedRide(t, a).catch((error: Error) => error);
  t.notOk(ride instanceof Error, 'others go on');
});
