/**
 * Three real processes behind a chooser, trips under way and notes for everyone, while each process is restarted in turn and
 * then one is killed: nothing ordered is lost, doubled (after dedupe by event id) or out of order (R18, R10).
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePort, type ServerProgram, startServer } from '../../sim/programs.ts';
import { connectRedis } from '../../src/adapters/redis/connection.ts';
import type { Message } from '../clients/inbox.ts';
import { transports } from '../clients/peer.ts';
import { publisherOn } from '../clients/publisher.ts';
import { Roamer, type Way } from '../clients/roamer.ts';
import { somewhere } from '../scene.ts';
import { type Chooser, type ChosenNode, startChooser } from '../servers/chooser.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';

t.setTimeout(180_000);

const HEARTBEAT_MS = 250;
const NOTE_EVERY_MS = 20;
const UNLIMITED = '1000000';

interface Node extends ChosenNode {
  name: string;
  program: ServerProgram;
  start(): Promise<void>;
}

async function threeNodes(t: Test, redisUrl: string): Promise<Node[]> {
  const directory = t.testdir();
  const nodes: Node[] = [];
  for (const name of ['n1', 'n2', 'n3']) {
    const [http, grpc] = await Promise.all([freePort(), freePort()]);
    const settings = {
      HTTP_LISTEN_ADDR: `127.0.0.1:${http}`,
      GRPC_LISTEN_ADDR: `127.0.0.1:${grpc}`,
      METRICS_LISTEN_ADDR: '127.0.0.1:0',
      REDIS_URL: redisUrl,
      SQLITE_FILE: join(directory, 'shared.sqlite'),
      DATA_DIR: join(directory, name),
      REGION: 'test',
      LOG_LEVEL: 'info',
      INBOX_LENGTH: '10000',
      DRAIN_JITTER: '1s',
      DRAIN_DEADLINE: '20s',
      HEARTBEAT_INTERVAL: `${HEARTBEAT_MS}ms`,
      HEARTBEAT_TIMEOUT: '10s',
      RATE_LIMIT_DEFAULT: UNLIMITED,
      RATE_LIMIT_AUTHENTICATED: UNLIMITED,
      CONNECTION_RATE: UNLIMITED,
      SOCKET_LIMIT_GENERAL: UNLIMITED,
      MAX_SUBSCRIPTIONS: '10000',
    };
    const node: Node = {
      name,
      http: `127.0.0.1:${http}`,
      grpc: `127.0.0.1:${grpc}`,
      program: undefined as never,
      async start() {
        this.program = await startServer({ name, directory, settings });
      },
    };
    nodes.push(node);
  }
  t.after(() => Promise.all(nodes.map(({ program }) => program?.stop())).then(() => {}));
  // One after another: the first makes the store.
  for (const node of nodes) await node.start();
  return nodes;
}

/** REST through the chooser: what was not answered is asked again, which every call allows. */
function restOf(chooser: Chooser) {
  return async (method: string, path: string, token?: string, body?: object, key?: string): Promise<Message> => {
    for (let attempt = 0; attempt < 400; attempt++) {
      const headers = {
        'content-type': 'application/json',
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(key ? { 'idempotency-key': key } : {}),
      };
      try {
        const init = { method, headers, signal: AbortSignal.timeout(10_000) };
        const answer = await fetch(`http://${chooser.http}${path}`, {
          ...init,
          ...(method === 'GET' ? {} : { body: JSON.stringify(body ?? {}) }),
        });
        const text = await answer.text();
        if (answer.status < 500) return { status: answer.status, body: JSON.parse(text) };
      } catch {
        // No answer: the connection ended, or no node was ready.
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${method} ${path}: no answer`);
  };
}

type Rest = ReturnType<typeof restOf>;

interface Person {
  id: string;
  token: string;
  roamer: Roamer;
  /** Notes that were sent to him. */
  notes: number;
}

interface Rig {
  chooser: Chooser;
  rest: Rest;
  faults: string[];
  /** Told by a node that still called itself ready. */
  onGoAway(nodeId: string): void;
}

let people = 0;

async function person(t: Test, rig: Rig, role: string): Promise<Person> {
  const number = people++;
  const id = `${role}-${number}`;
  const { body } = await rig.rest('POST', '/api/v1/auth/token', undefined, { role, user_id: id });
  const roamer = new Roamer({
    at: rig.chooser,
    transport: transports[number % transports.length]!,
    accessToken: body.access_token,
    way: (['token', 'places'] satisfies Way[])[Math.floor(number / 3) % 2]!,
    heartbeatMs: HEARTBEAT_MS,
    onGoAway: rig.onGoAway,
    onError: (error) => rig.faults.push(`${id}: ${error}`),
  });
  t.after(() => roamer.close());
  return { id, token: body.access_token, roamer, notes: 0 };
}

/** Takes one rider through trips with one driver until it is told to stop; resolves the trips. */
async function ride(rig: Rig, rider: Person, driver: Person, isOver: () => boolean): Promise<string[]> {
  const { rest } = rig;
  const at = somewhere();
  const trips: string[] = [];
  const offers = (): Message[] => driver.roamer.taken.get(`user:${driver.id}`) ?? [];
  const must = (answer: Message, what: string): Message => {
    if (answer.status >= 400) throw new Error(`${what}: ${JSON.stringify(answer)}`);
    return answer.body;
  };
  await rest('POST', '/api/v1/drivers/me/locations', driver.token, {
    updates: [{ ...at, recorded_at_ms: Date.now() }],
  });
  must(await rest('PUT', '/api/v1/drivers/me/status', driver.token, { status: 'looking' }), 'looking');
  while (!isOver()) {
    must(
      await rest('POST', '/api/v1/drivers/me/locations', driver.token, {
        updates: [{ ...at, recorded_at_ms: Date.now() }],
      }),
      'location',
    );
    const wish = { pickup: at, dropoff: { lat: at.lat + 0.02, lng: at.lng } };
    const { id } = must(await rest('POST', '/api/v1/trips', rider.token, wish, randomUUID()), 'trip');
    trips.push(id);
    rider.roamer.follow(`trip:${id}`);
    // Later offers of the same trip are for one that expired.
    const open = (): Message | undefined => offers().findLast((m) => m.job_offer?.trip_id === id)?.job_offer;
    for (;;) {
      await until(() => open() !== undefined, `an offer of ${id}`, 60_000);
      const accepted = await rest('POST', `/api/v1/trips/${id}/offers/${open()!.offer_id}/accept`, driver.token);
      if (accepted.status === 200) break;
      if (accepted.body.code !== 'RIDE_OFFER_CLOSED' && accepted.body.code !== 'RIDE_CONFLICT')
        throw new Error(`not accepted: ${JSON.stringify(accepted)}`);
    }
    for (const step of ['arrive', 'start', 'complete'])
      must(await rest('POST', `/api/v1/trips/${id}/${step}`, driver.token), step);
  }
  return trips;
}

/** What each one was sent, against what was sent to him. */
function checkNotes(t: Test, all: readonly Person[]): void {
  for (const { id, roamer, notes } of all) {
    const own = roamer.taken.get(`user:${id}`) ?? [];
    const numbers = own.filter((m) => m.notification).map((m) => Number(m.notification.id));
    t.same(
      numbers,
      Array.from({ length: notes }, (_, i) => i + 1),
      `${id}: every note, once, in order`,
    );
    t.same(roamer.gaps, [], `${id}: nothing was gone`);
    t.same(roamer.holes, [], `${id}: no hole`);
  }
}

t.test('a rolling restart, and a kill, under load', async (t) => {
  const redis = await startRedis(t, { appendOnly: true });
  const nodes = await threeNodes(t, redis.url);
  const chooser = await startChooser(t, nodes);
  await until(() => nodes.every((node) => chooser.isReady(node)), 'all to be ready');
  const faults: string[] = [];
  const looks: Promise<void>[] = [];
  const rig: Rig = {
    chooser,
    rest: restOf(chooser),
    faults,
    onGoAway(nodeId) {
      const { http } = nodes.find(({ name }) => name === nodeId)!;
      looks.push(
        fetch(`http://${http}/readyz`).then(
          ({ status }) => void (status === 503 || faults.push(`${nodeId} said go-away while it was ready`)),
          // It listens no more.
          () => {},
        ),
      );
    },
  };

  const pairs = await Promise.all(
    [1, 2, 3, 4].map(() => Promise.all([person(t, rig, 'rider'), person(t, rig, 'driver')])),
  );
  const listeners = await Promise.all(Array.from({ length: 10 }, () => person(t, rig, 'rider')));
  const everyone = [...pairs.flat(), ...listeners];
  await until(() => everyone.every(({ roamer }) => roamer.stays.length > 0), 'everyone to be connected');

  let isOver = false;
  const rides = pairs.map(([rider, driver]) => ride(rig, rider, driver, () => isOver));
  const publisher = publisherOn(t, redis.url, 100_000);
  const notes = (async () => {
    for (let n = 0; !isOver; n++) {
      const one = everyone[n % everyone.length]!;
      const topic = `user:${one.id}`;
      const note = { id: `${one.notes + 1}`, title: '', body: '', tripId: '' };
      await publisher.publishOrdered(topic, 'notification', note, `${topic}-${note.id}`);
      one.notes++;
      await new Promise((resolve) => setTimeout(resolve, NOTE_EVERY_MS));
    }
  })();
  const noted = (): number => everyone.reduce((sum, { notes }) => sum + notes, 0);
  /** Everyone is connected to some node, and a while of the load has passed. */
  async function breathe(): Promise<void> {
    const from = noted();
    await until(() => noted() > from + 50 && everyone.every(({ roamer }) => !roamer.stays.at(-1)!.end), 'some load');
  }

  for (const node of nodes) {
    await breathe();
    const told = everyone.filter(
      ({ roamer }) => roamer.stays.at(-1)!.nodeId === node.name && !roamer.stays.at(-1)!.end,
    );
    const stays = told.map(({ roamer }) => roamer.stays.at(-1)!);
    await node.program.stop();
    t.equal(node.program.ended(), 'exit code 0', `${node.name} ended by itself`);
    t.ok(stays.length > 0, `${node.name} had ${stays.length} of the sessions`);
    await until(() => stays.every(({ end }) => end !== undefined), 'their ends to be known');
    t.same(new Set(stays.map(({ goAways }) => goAways)), new Set([1]), 'each was told once');
    await node.start();
    await until(() => chooser.isReady(node), `${node.name} to be ready again`);
  }
  await breathe();
  const resumedBefore = everyone.reduce((sum, { roamer }) => sum + roamer.resumed, 0);
  t.ok(resumedBefore > 5, `${resumedBefore} connections went on by their token`);
  const [victim] = nodes as [Node];
  await victim.program.kill();
  await breathe();
  const resumed = everyone.reduce((sum, { roamer }) => sum + roamer.resumed, 0);
  t.comment(`${resumed - resumedBefore} more after the kill`);
  await victim.start();
  await breathe();

  isOver = true;
  await notes;
  const trips = await Promise.all(rides);
  t.ok(trips.flat().length > 8, `${trips.flat().length} trips`);
  const reader = connectRedis({ url: redis.url }, () => {});
  t.after(() => reader.disconnect());
  for (const { roamer, id } of everyone) {
    for (const topic of [`user:${id}`, ...roamer.taken.keys()]) {
      const last = Number(await reader.hget(`memory:{${topic}}`, 'offset'));
      await until(() => roamer.offsetOf(topic) >= last, `${id} to have ${topic} to its end`).catch((error: Error) =>
        faults.push(error.message),
      );
    }
  }
  await Promise.all(looks);
  checkNotes(t, everyone);
  for (const [index, [rider]] of pairs.entries()) {
    for (const id of trips[index]!) {
      const story = (await rig.rest('GET', `/api/v1/trips/${id}/events`, rider.token)).body.items;
      const seen = (rider.roamer.taken.get(`trip:${id}`) ?? []).map((m) => m.event_id);
      const expected = story.map((event: Message) => event.id);
      if (seen.join() !== expected.join()) faults.push(`${id}: ${seen} instead of ${expected}`);
    }
  }
  t.same(faults, []);
  const repeats = everyone.reduce((sum, { roamer }) => sum + roamer.repeats, 0);
  t.comment(`${noted()} notes, ${trips.flat().length} trips, ${resumed} resumed by token, ${repeats} repeats dropped`);
});
