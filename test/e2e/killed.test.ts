/**
 * kill -9 of the node that takes a step of a ride, while it does and right after its answer: the other node goes on, the rider is
 * charged what the ride costs, once, and no event is missing.
 */
import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Clients, clientsOf, type Rest } from '../clients/clients.ts';
import { lookingDriver, type Member, member, north, somewhere } from '../scene.ts';
import { type Node, startNodes } from '../servers/nodes.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';

const isLong = process.env.CRASH_LONG === '1';
t.setTimeout(isLong ? 900_000 : 240_000);

const STEPS = ['request', 'accept', 'arrive', 'start', 'complete'] as const;
type Step = (typeof STEPS)[number];
const WAYS = ['while it takes', 'right after'] as const;
type When = (typeof WAYS)[number];

const directory = await mkdtemp(join(tmpdir(), 'rs-'));
t.after(() => rm(directory, { recursive: true, force: true }));
const { url } = await startRedis(t);
const [mortal, other] = (await startNodes(t, 2, directory, {
  REDIS_URL: url,
  CITY: 'testville',
  SWEEP_INTERVAL: '200ms',
  SWEEP_AGE: '300ms',
  MATCH_RETRY: '200ms',
  OFFER_TTL: '60s',
  // The drivers' sockets say nothing.
  HEARTBEAT_TIMEOUT: '5m',
  PAYMENTS_RETRY: '100ms',
  PAYMENTS_RECONCILE_INTERVAL: '300ms',
  PAYMENTS_RECONCILE_AGE: '300ms',
  // Waiting costs from the first second on, and none is held for: the hold of a ride whose driver waited is raised.
  FARE_WAITING_FREE: '0ms',
  FARE_WAITING_PER_MINUTE_MINOR: '6000',
  PAYMENTS_WAITING_ALLOWANCE: '0ms',
})) as [Node, Node];

interface Ride {
  rider: Member;
  driver: Awaited<ReturnType<typeof lookingDriver>>;
  from: { lat: number; lng: number };
  /** Empty until it is known. */
  id: string;
}

/** One step by REST; asked again of another node it is the same one. */
async function ask(s: Clients, ride: Ride, step: Step): Promise<Rest> {
  const { rider, driver, from, id } = ride;
  if (step === 'request') {
    const body = { pickup: from, dropoff: north(from, 3000) };
    return s.rest('POST', '/api/v1/trips', rider.token, body, { 'idempotency-key': driver.id });
  }
  if (step !== 'accept') return s.rest('POST', `/api/v1/trips/${id}/${step}`, driver.token);
  const offered = await driver.peer.inbox.find((m) => m.job_offer?.trip_id === id, 'offer');
  return s.rest('POST', `/api/v1/trips/${id}/offers/${offered.job_offer.offer_id}/accept`, driver.token);
}

async function must(s: Clients, ride: Ride, step: Step): Promise<void> {
  const { status, body } = await ask(s, ride, step);
  if (status >= 400) throw new Error(`${step}: ${status} ${JSON.stringify(body)}`);
  ride.id = body.id;
}

async function checkEnd(t: Test, s: Clients, { id, rider, driver }: Ride): Promise<void> {
  const get = async (path: string, who: Member = rider) => (await s.rest('GET', `/api/v1/${path}`, who.token)).body;
  await until(async () => (await get(`trips/${id}/payment`)).status === 'settled', 'the payment', 45_000);
  const trip = await get(`trips/${id}`);
  const payment = await get(`trips/${id}/payment`);
  const { state, fare } = await get(`trips/${id}/fare`);
  const { items } = await get(`trips/${id}/events`);
  t.equal(trip.status, 'completed');
  t.same([state, payment.captured_minor, payment.unpaid_minor], ['final', fare.total_minor, 0], 'charged as it costs');
  const gapless = (list: { seq: number }[]) => list.every(({ seq }, i) => seq === i + 1);
  t.ok(gapless(items) && gapless(payment.events), 'no event is missing');
  const { amount_minor: heldMinor } = payment.events.find(({ type }: { type: string }) => type === 'requested');
  // What is owed may be known before the hold is.
  t.same(
    payment.events.map(({ type }: { type: string }) => type).toSorted(),
    ['captured', 'held', 'owed', ...(fare.total_minor > heldMinor ? ['raised'] : []), 'requested', 'settled'],
    'each step once',
  );
  await until(async () => (await get('drivers/me', driver)).active_trip_id === null, 'a free driver');
}

/** The driver waits so long that it costs. */
async function aSecondAtPickup(s: Clients, { id, rider }: Ride): Promise<void> {
  const { arrived_at } = (await s.rest('GET', `/api/v1/trips/${id}`, rider.token)).body;
  await until(() => Date.now() >= arrived_at + 1100, 'a second of waiting');
}

/** Each step in one of the ways; `script/crash` tries both, again and again. */
const kills: [When, Step][] = isLong
  ? Array.from({ length: 3 }, () => STEPS.flatMap((step) => WAYS.map((when): [When, Step] => [when, step]))).flat()
  : STEPS.map((step, i) => [WAYS[i % 2]!, step]);

let isDown = false;
for (const [when, fatal] of kills) {
  t.test(`killed ${when} ${fatal}`, async (t) => {
    const [dying, living] = [mortal, other].map((node) => clientsOf(t, node)) as [Clients, Clients];
    const from = somewhere();
    const driver = await lookingDriver(t, living, from);
    const ride: Ride = { rider: await member(living, 'rider'), driver, from, id: '' };
    const at = STEPS.indexOf(fatal);
    if (isDown) await mortal.start();
    for (const step of STEPS.slice(0, at)) {
      if (step === 'start') await aSecondAtPickup(dying, ride);
      await must(dying, ride, step);
    }
    if (when === 'right after') await must(dying, ride, fatal);
    else {
      // The offer has to be there before the node is asked; what it answers is lost on purpose.
      if (fatal === 'accept') await driver.peer.inbox.find((m) => m.job_offer?.trip_id === ride.id, 'offer');
      void ask(dying, ride, fatal).catch(() => null);
      // Any moment will do: it is another one in each run.
      await new Promise((resolve) => setTimeout(resolve, randomInt(25)));
    }
    await mortal.program.kill();
    isDown = true;
    // What was answered is so, and asking again says so.
    for (const step of STEPS.slice(at)) await must(living, ride, step);
    await checkEnd(t, living, ride);
  });
}

t.end();
