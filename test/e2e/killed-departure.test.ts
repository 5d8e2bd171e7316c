/**
 * kill -9 of the node that books seats, and of the one at which a driver arrives: who asks the other node again, under the same key, has
 * the seats he asked for once; no seat is sold twice, no event is missing, and the driver is bound to his departure and free after it. Every
 * passenger's fare is held once, and captured when the journey is over.
 */
import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { type Clients, clientsOf } from '../clients/clients.ts';
import { type Member, member, north, somewhere } from '../scene.ts';
import { type Node, startNodes } from '../servers/nodes.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';

t.setTimeout(120_000);
const directory = await mkdtemp(join(tmpdir(), 'rs-'));
t.after(() => rm(directory, { recursive: true, force: true }));
const { url } = await startRedis(t);
const env = {
  ...{ REDIS_URL: url, CITY: 'testville', SWEEP_INTERVAL: '200ms', SWEEP_AGE: '300ms' },
  ...{ PAYMENTS_RETRY: '100ms', PAYMENTS_RECONCILE_INTERVAL: '200ms' },
};
const [mortal, other] = (await startNodes(t, 2, directory, env)) as [Node, Node];

const SEATS = 4;

interface Booking {
  id: string;
  status: string;
  version: number;
}

t.test('killed while seats are booked, and while the driver arrives', async (t) => {
  const living: Clients = clientsOf(t, other);
  const dying: Clients = clientsOf(t, mortal);
  const from = somewhere();
  const driver = await member(living, 'driver');
  const body = {
    ...{ pickup: from, dropoff: north(from, 20_000), departure_time: Date.now() + 1_800_000 },
    ...{ seats: SEATS, seat_fare_minor: 900 },
  };
  const { id } = (await living.rest('POST', '/api/v1/departures', driver.token, body)).body;
  const riders = await Promise.all(Array.from({ length: SEATS }, () => member(living, 'rider')));
  const book = (s: Clients, rider: Member) =>
    s.rest('POST', `/api/v1/departures/${id}/bookings`, rider.token, { seats: 1 }, { 'idempotency-key': rider.id });

  // What it answers is lost on purpose; any moment will do, and it is another one in each run.
  const asked = riders.map((rider) => book(dying, rider).catch(() => null));
  await new Promise((resolve) => setTimeout(resolve, randomInt(30)));
  await mortal.program.kill();
  await Promise.all(asked);
  const again = await Promise.all(riders.map((rider) => book(living, rider)));
  t.ok(
    again.every(({ status }) => status === 200 || status === 201),
    'each has his seat, by the first request or by this',
  );
  t.equal(new Set(again.map((answer) => answer.body.id)).size, SEATS);
  t.hasStrict(await book(living, await member(living, 'rider')), { status: 409, body: { code: 'RIDE_SEATS_TAKEN' } });
  const listed = async (rider: Member): Promise<Booking[]> =>
    (await living.rest('GET', '/api/v1/bookings', rider.token)).body.items;
  for (const [i, rider] of riders.entries()) {
    await until(async () => (await listed(rider)).length === 1, 'his list');
    t.equal((await listed(rider))[0]!.id, again[i]!.body.id);
  }

  const payment = async (i: number) =>
    (await living.rest('GET', `/api/v1/bookings/${again[i]!.body.id}/payment`, riders[i]!.token)).body;
  for (const i of riders.keys())
    await until(async () => ['holding', 'held'].includes((await payment(i)).status), 'his fare to be asked for');

  await mortal.start();
  const reborn: Clients = clientsOf(t, mortal);
  const step = (s: Clients, name: string) => s.rest('POST', `/api/v1/departures/${id}/${name}`, driver.token);
  const arriving = step(reborn, 'arrive').catch(() => null);
  await new Promise((resolve) => setTimeout(resolve, randomInt(15)));
  await mortal.program.kill();
  await arriving;
  t.equal((await step(living, 'arrive')).body.status, 'driver_arrived', 'asked again he is there');
  const me = async () => (await living.rest('GET', '/api/v1/drivers/me', driver.token)).body;
  await until(async () => (await me()).active_trip_id === id, 'him to be bound');
  for (const { body: booking } of again)
    t.equal((await living.rest('POST', `/api/v1/bookings/${booking.id}/board`, driver.token)).status, 200);
  for (const name of ['start', 'complete']) t.equal((await step(living, name)).status, 200, name);
  await until(async () => (await me()).active_trip_id === null, 'him to be free');
  for (const rider of riders)
    await until(async () => (await listed(rider))[0]!.status === 'completed', 'the list to know the end');
  for (const i of riders.keys()) {
    await until(async () => (await payment(i)).status === 'settled', 'his fare to be captured', 60_000);
    t.hasStrict(await payment(i), { captured_minor: 900, owed_minor: 900, unpaid_minor: 0, trip_id: id });
  }

  const events = (await living.rest('GET', `/api/v1/departures/${id}/events`, driver.token)).body.items;
  t.same(
    events.map(({ seq }: { seq: number }) => seq),
    [...events.keys()].map((i) => i + 1),
    'no event is missing',
  );
  t.same(
    events.map(({ type }: { type: string }) => type),
    [
      'published',
      ...riders.map(() => 'booked'),
      'driver_arrived',
      ...riders.map(() => 'boarded'),
      'started',
      'completed',
    ],
    'and each happened once',
  );
  const watcher = await living.ws('/ws/admin', (await member(living, 'admin')).token);
  await watcher.ask({ subscribe: { topic: `trip:${id}`, since_offset: '0' } });
  const told = () => watcher.inbox.all.filter((m) => m.trip_event).map((m) => Number(m.trip_event.seq));
  await until(() => told().length === events.length, 'the topic to have them all');
  t.same(
    told(),
    [...events.keys()].map((i) => i + 1),
    'in order, once each',
  );
});
t.end();
