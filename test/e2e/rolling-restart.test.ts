/**
 * Three real processes behind a chooser, trips under way and notes for everyone, while each process is restarted in turn and
 * then one is killed: nothing ordered is lost, doubled (after dedupe by event id) or out of order (R18, R10).
 */
import t, { type Test } from 'tap';
import { connectRedis } from '../../src/adapters/redis/connection.ts';
import type { Message } from '../clients/inbox.ts';
import { type PatientRest, patientRest } from '../clients/patient-rest.ts';
import { transports } from '../clients/peer.ts';
import { publisherOn } from '../clients/publisher.ts';
import { type Person, Rides } from '../clients/ride.ts';
import { Roamer, type Way } from '../clients/roamer.ts';
import { type Chooser, startChooser } from '../servers/chooser.ts';
import { type Node, startNodes } from '../servers/nodes.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';

t.setTimeout(180_000);

const HEARTBEAT_MS = 250;
const NOTE_EVERY_MS = 20;

interface Listener extends Person {
  /** Notes that were sent to him. */
  notes: number;
}

interface Rig {
  chooser: Chooser;
  rest: PatientRest;
  faults: string[];
  /** Told by a node that still called itself ready. */
  onGoAway(nodeId: string): void;
}

let people = 0;

async function person(t: Test, rig: Rig, role: string): Promise<Listener> {
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

/** What each one was sent, against what was sent to him. */
function checkNotes(t: Test, all: readonly Listener[]): void {
  for (const { id, roamer, notes } of all) {
    const own = roamer.books.taken.get(`user:${id}`) ?? [];
    // The server's own receipts are none of them.
    const sent = own.filter((m) => m.notification && !m.notification.id.endsWith('.receipt'));
    const numbers = sent.map((m) => Number(m.notification.id));
    t.same(
      numbers,
      Array.from({ length: notes }, (_, i) => i + 1),
      `${id}: every note, once, in order`,
    );
    t.same(roamer.books.gaps, [], `${id}: nothing was gone`);
    t.same(roamer.books.holes, [], `${id}: no hole`);
    t.same(roamer.books.turns, [], `${id}: one epoch`);
  }
}

t.test('a rolling restart, and a kill, under load', async (t) => {
  const redis = await startRedis(t, { appendOnly: true });
  const nodes = await startNodes(t, 3, t.testdir(), {
    REDIS_URL: redis.url,
    INBOX_LENGTH: '10000',
    DRAIN_JITTER: '1s',
    DRAIN_DEADLINE: '20s',
    HEARTBEAT_INTERVAL: `${HEARTBEAT_MS}ms`,
    HEARTBEAT_TIMEOUT: '10s',
    MAX_SUBSCRIPTIONS: '10000',
  });
  const chooser = await startChooser(t, nodes);
  await until(() => nodes.every((node) => chooser.isReady(node)), 'all to be ready');
  const faults: string[] = [];
  const looks: Promise<void>[] = [];
  const rig: Rig = {
    chooser,
    rest: patientRest(chooser.http),
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
  const rides = pairs.map(([rider, driver]) => new Rides(rig.rest, rider, driver, () => isOver));
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
  await Promise.all(rides.map(({ done }) => done));
  const trips = rides.map((ride) => ride.trips);
  t.ok(trips.flat().length > 8, `${trips.flat().length} trips`);
  const reader = connectRedis({ url: redis.url }, () => {});
  t.after(() => reader.disconnect());
  for (const { roamer, id } of everyone) {
    for (const topic of [`user:${id}`, ...roamer.books.taken.keys()]) {
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
      const seen = (rider.roamer.books.taken.get(`trip:${id}`) ?? []).map((m) => m.event_id);
      const expected = story.map((event: Message) => event.id);
      if (seen.join() !== expected.join()) faults.push(`${id}: ${seen} instead of ${expected}`);
    }
  }
  t.same(faults, []);
  const repeats = everyone.reduce((sum, { roamer }) => sum + roamer.books.repeats, 0);
  t.comment(`${noted()} notes, ${trips.flat().length} trips, ${resumed} resumed by token, ${repeats} repeats dropped`);
});
