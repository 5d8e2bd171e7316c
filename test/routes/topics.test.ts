/** Who follows a topic: over two nodes, page by page, also while a node is gone. */
import t from 'tap';
import { connect } from '../clients/peer.ts';
import { beside, build, type TestScope, type TestServer } from '../helper.ts';
import { assignedRide, member } from '../scene.ts';
import { until } from '../until.ts';

async function pages(s: TestServer, token: string, topic: string, pageSize: number) {
  const found: { session_id: string; node_id: string }[][] = [];
  let next = '';
  do {
    const query = `page_size=${pageSize}${next ? `&page_token=${next}` : ''}`;
    const { status, body } = await s.rest('GET', `/admin/topics/${topic}/members?${query}`, token);
    if (status !== 200) throw new Error(JSON.stringify(body));
    found.push(body.items);
    next = body.next_page_token ?? '';
  } while (next !== '');
  return found;
}

const secondNode = (t: TestScope, s: TestServer) => build(t, { env: { ...beside(s), HEARTBEAT_TIMEOUT: '60s' } });

t.test('followers of all nodes, each once, in pages', async (t) => {
  const a = await build(t, { env: { HEARTBEAT_TIMEOUT: '60s' } });
  const b = await secondNode(t, a);
  const ride = await assignedRide(t, a);
  const topic = `trip:${ride.id}`;
  const admin = await member(a, 'admin');
  const peers = await Promise.all(
    Array.from({ length: 25 }, (_, i) =>
      connect(t, (i % 2 ? a : b).at, i % 3 ? 'grpc' : 'websocket-json', ride.rider.token),
    ),
  );
  await Promise.all(peers.map((peer) => peer.ask({ subscribe: { topic } })));
  const ids = new Set(peers.map((peer) => peer.inbox.all[0]!.welcome.session_id));

  for (const [node, size] of [
    [a, 10],
    [b, 10],
    [a, 1],
    [b, 25],
    [a, 1000],
  ] as const) {
    const found = await pages(node, admin.token, topic, size);
    const flat = found.flat();
    t.same(new Set(flat.map((m) => m.session_id)), ids, `${size} a page`);
    t.equal(flat.length, 25, 'none twice');
    t.ok(found.every((page) => page.length <= size));
  }
  const [first] = (await pages(a, admin.token, `order:${ride.id}`, 50)).flat();
  t.hasStrict(first, { user_id: ride.rider.id, role: 'rider' }, 'by the other name of the topic too');
  t.equal(new Set((await pages(a, admin.token, topic, 50)).flat().map((m) => m.node_id)).size, 2);

  for (const peer of peers.slice(0, 20)) peer.close();
  await until(async () => (await pages(b, admin.token, topic, 2)).flat().length === 5, 'those who are left');
  await b.stop();
  const left = (await pages(a, admin.token, topic, 50)).flat();
  t.same(new Set(left.map((m) => m.node_id)).size, 1, 'a node that is gone has no followers');
});

t.test('only operators may ask, and only what makes sense', async (t) => {
  const s = await build(t);
  const admin = await member(s, 'admin');
  const get = async (path: string, token?: string) => {
    const { status, body } = await s.rest('GET', path, token);
    return [status, body.code, body.field];
  };
  for (const role of ['rider', 'driver', 'service']) {
    const { token } = await member(s, role);
    t.same((await get('/admin/topics/city:testville/members', token)).slice(0, 2), [403, 'RIDE_FORBIDDEN'], role);
  }
  t.equal((await get('/admin/topics/city:testville/members'))[0], 401);
  t.same(await get('/admin/topics/city:testville/members?page_token=nonsense', admin.token), [
    400,
    'RIDE_INVALID_INPUT',
    'page_token',
  ]);
  t.equal((await get('/admin/topics/city:testville/members?page_size=0', admin.token))[0], 400);
  t.equal((await get('/admin/topics/nonsense/members', admin.token))[0], 400);
  const nobody = await s.rest('GET', '/admin/topics/city:nowhere/members', admin.token);
  t.same(nobody.body, { items: [] });
});

t.test('what is between nodes is closed to clients', async (t) => {
  const s = await build(t);
  const admin = await connect(t, s.at, 'websocket-json', (await member(s, 'admin')).token);
  const { node_id } = (await s.rest('GET', '/admin/stats', (await member(s, 'admin')).token)).body;
  const { error } = await admin.ask({ subscribe: { topic: `node:${node_id}` } });
  t.equal(error.code, 'RIDE_INVALID_INPUT');
});
