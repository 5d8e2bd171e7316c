/** Statistics: right for one node and for all of them, and for operators only. */
import t from 'tap';
import { connect, type Peer } from '../clients/peer.ts';
import { checkedRest } from '../contracts/answers.ts';
import { beside, build } from '../helper.ts';
import { assignedRide, lookingDriver, member, requestedTrip, somewhere } from '../scene.ts';
import { until } from '../until.ts';

const env = { HEARTBEAT_INTERVAL: '1s', HEARTBEAT_TIMEOUT: '3s', CITY: 'testville' };
const s = await build(t, { env: { ...env, NODE_ID: 'one' } });
const { rest } = checkedRest(s);
const operator = await member(s, 'admin');
const stats = async (token = operator.token) => (await rest('GET', '/admin/stats', token)).body;

t.test('admins and dispatchers', async (t) => {
  for (const [role, status] of [
    ['admin', 200],
    ['dispatcher', 200],
    ['service', 403],
    ['rider', 403],
    ['driver', 403],
  ] as const)
    t.equal((await rest('GET', '/admin/stats', (await member(s, role)).token)).status, status, role);
  t.equal((await rest('GET', '/admin/stats')).status, 401);
});

t.test('trips by status, drivers, queues', async (t) => {
  const before = await stats();
  t.same(Object.keys(before.trips).sort(), [
    'assigned',
    'cancelled',
    'completed',
    'driver_arrived',
    'expired',
    'in_progress',
    'offered',
    'requested',
  ]);
  t.same(Object.keys(before.trips_by_kind.delivery), Object.keys(before.trips));
  const rider = await member(s, 'rider');
  const { id } = await requestedTrip(s, rider, somewhere());
  await rest('POST', `/api/v1/trips/${id}/cancel`, rider.token);
  await requestedTrip(s, rider, somewhere());
  const ride = await assignedRide(t, s);
  await ride.step('arrive');
  await lookingDriver(t, s, somewhere());
  await until(async () => (await stats()).drivers.available === before.drivers.available + 1, 'one to be available');
  const { trips, queues, now_ms, node_id } = await stats();
  const grown = (status: string): number => trips[status] - before.trips[status];
  t.same(['requested', 'cancelled', 'driver_arrived', 'assigned'].map(grown), [1, 1, 1, 0]);
  t.same(Object.keys(queues).sort(), ['critical', 'high', 'normal']);
  for (const name of Object.keys(queues))
    t.same(Object.keys(queues[name]).sort(), ['active', 'delayed', 'failed', 'waiting']);
  t.ok(queues.high.delayed + queues.normal.delayed + queues.critical.delayed > 0, 'what waits for its time is counted');
  t.equal(node_id, 'one');
  t.ok(Math.abs(now_ms - Date.now()) < 5000);
});

t.test('sessions over all nodes, each node counted once; a node that leaves is counted no more', async (t) => {
  const two = await build(t, { env: { ...env, ...beside(s), NODE_ID: 'two' } });
  const before = await stats();
  const peers: Peer[] = [];
  for (const [node, role, path] of [
    [s, 'rider', '/ws/client'],
    [two, 'rider', '/ws/client'],
    [two, 'driver', '/ws/driver'],
    [two, 'driver', ''],
  ] as const) {
    const { token } = await member(s, role);
    const transport = path === '' ? 'grpc' : 'websocket-json';
    peers.push(await connect(t, node.at, transport, token, path === '' ? {} : { path }));
  }
  const beat = setInterval(() => {
    for (const peer of peers) peer.send({ heartbeat: {} });
  }, 500);
  t.after(() => clearInterval(beat));
  await until(async () => (await stats()).sessions.total === before.sessions.total + 4, 'both nodes to count');
  const now = await stats();
  const nodes = Object.fromEntries(now.nodes.map((node: { node_id: string }) => [node.node_id, node]));
  t.same(Object.keys(nodes).sort(), ['one', 'two']);
  t.hasStrict(nodes.two, {
    total: 3,
    by_namespace: { client: 1, porter: 1, grpc: 1 },
    by_role: { rider: 1, driver: 2 },
  });
  const grown = (group: string, key: string): number => now.sessions[group][key] - (before.sessions[group][key] ?? 0);
  t.equal(grown('by_namespace', 'client'), 2);
  t.equal(grown('by_role', 'driver'), 2);
  clearInterval(beat);
  await two.stop();
  const after = await stats();
  t.same(
    after.nodes.map((node: { node_id: string }) => node.node_id),
    ['one'],
  );
});
t.end();
