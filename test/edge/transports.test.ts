/** The three ways into a stream say the same: one session of each sees one ride, message by message and field by field. */
import t from 'tap';
import { WebSocket } from 'ws';
import type { Message } from '../clients/inbox.ts';
import { connect, openWebSocket, type Peer, transports } from '../clients/peer.ts';
import { build } from '../helper.ts';
import { assignedRide, locate, member, north, offeredRide } from '../scene.ts';
import { until } from '../until.ts';

const s = await build(t);

/** 64-bit integers are texts in JSON, and what is zero or empty is left out: bring both to one form. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value)
      .filter(([, v]) => v !== null && v !== 0 && v !== '0' && v !== '' && v !== false)
      .map(([k, v]) => [k, plain(v)]);
    return Object.fromEntries(entries.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
  }
  return typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
}

t.test('one ride, seen three ways', async (t) => {
  const ride = await offeredRide(t, s);
  const { driver, id } = ride;
  const operator = await member(s, 'admin');
  const peers: Peer[] = [];
  for (const transport of transports) {
    const peer = await connect(t, s.at, transport, operator.token);
    const { subscribed } = await peer.ask({ subscribe: { topic: `trip:${id}`, since_offset: '0' } });
    t.equal(subscribed.recovered, true, transport);
    await peer.ask({ subscribe: { topic: `user:${driver.id}` } });
    await peer.ask({ subscribe: { topic: `user:${ride.rider.id}` } });
    await peer.ask({ subscribe: { topic: 'sos:alerts' } });
    peers.push(peer);
  }
  const { peer } = driver;
  t.ok((await peer.ask({ offer_reply: { offer_id: ride.offerId, trip_id: id, accept: true } })).ack);
  const here = { ...north(ride.at, 50), recorded_at_ms: Date.now(), speed_mps: 0, heading_deg: 0, accuracy_m: 4.5 };
  t.ok((await peer.ask({ location_update: { ...here, trip_id: id } })).ack);
  t.ok((await peer.ask({ chat_send: { trip_id: id, message_id: 'm1', text: 'Ich bin da 🚕' } })).ack);
  t.ok((await peer.ask({ typing: { trip_id: id, active: true } })).ack);
  t.ok((await peer.ask({ sos_trigger: { trip_id: id, lat: 0, lng: 0, note: 'test' } })).ack);
  for (const step of ['arrive', 'start', 'complete'] as const) await ride.step(step);

  const ofTheRide = (m: Message): boolean => m.topic !== undefined && m.topic !== '';
  for (const one of peers) {
    await one.inbox.find((m) => m.trip_event?.type === 'completed' && m.topic === `trip:${id}`);
    await one.inbox.find((m) => m.trip_event?.type === 'completed' && m.topic === `user:${driver.id}`);
    await one.inbox.find((m) => m.sos_alert, 'alert');
    await one.inbox.find((m) => m.match, 'match');
  }
  const [first, ...others] = peers.map((one) => {
    const topics = new Map<string, unknown[]>();
    for (const m of one.inbox.all.filter(ofTheRide)) {
      const list = topics.get(m.topic) ?? [];
      list.push(plain(m));
      topics.set(m.topic, list);
    }
    return topics;
  });
  for (const [index, other] of others.entries()) {
    t.same(other, first, `${transports[index + 1]} and ${transports[0]} tell the same`);
  }
  const kinds = new Set([...first!.values()].flat().map((m) => Object.keys(m as object).at(-1)));
  const json = peers[0]!.inbox.all;
  for (const kind of ['trip_event', 'location', 'eta_refresh', 'chat_message', 'typing_notice', 'sos_alert', 'match'])
    t.ok(
      json.some((m) => m[kind]),
      `${kind} was among them: ${[...kinds]}`,
    );
  const location = json.find((m) => m.location)!.location;
  t.equal(location.speed_mps, 0, 'a zero that means something is not left out');
  t.equal(location.heading_deg, 0);
  const [protobuf] = peers[1]!.inbox.all.filter((m) => m.location);
  t.equal(protobuf!.location.speed_mps, 0);
  t.equal(typeof json.find((m) => m.trip_event)!.trip_event.seq, 'string', '64-bit integers are texts in JSON');
});

t.test('order:<id> is another name of trip:<id>', async (t) => {
  const ride = await assignedRide(t, s);
  for (const transport of transports) {
    const peer = await connect(t, s.at, transport, ride.rider.token);
    const { subscribed } = await peer.ask({ subscribe: { topic: `order:${ride.id}`, since_offset: '0' } });
    t.equal(subscribed.topic, `trip:${ride.id}`, `${transport}: the answer says the real name`);
    const types = peer.inbox.all.filter((m) => m.trip_event).map((m) => m.trip_event.type);
    t.same(types, ['requested', 'offered', 'assigned']);
    t.ok((await peer.ask({ unsubscribe: { topic: `order:${ride.id}` } })).ack);
    await locate(s, ride.driver, north(ride.at, 100));
    const chat = { chat_send: { trip_id: ride.id, message_id: transport, text: 'hello' } };
    t.ok((await peer.ask(chat)).ack);
    t.ok((await peer.ask({ heartbeat: {} })).ack);
    t.notOk(
      peer.inbox.all.some((m) => m.chat_message?.message_id === transport),
      'what was left by either name is silent',
    );
  }
});

t.test(
  'JSON is read as protobuf JSON: either spelling of a name, numbers or texts, enums by name or number',
  async (t) => {
    const { token } = await member(s, 'driver');
    const peer = await connect(t, s.at, 'websocket-json', token);
    const now = Date.now();
    for (const [name, message] of [
      ['camel case', { corrId: 'camel', locationUpdate: { lat: 1, lng: 2, recordedAtMs: now } }],
      ['64-bit as text', { corr_id: 'text', location_update: { lat: 1, lng: 2, recorded_at_ms: String(now) } }],
      ['double as text', { corr_id: 'double', location_update: { lat: '1.5', lng: '2', recorded_at_ms: now } }],
      ['enum by number', { corr_id: 'enum', ride_status: { status: 1 } }],
      ['a byte order of its own', { ride_status: { status: 'STATUS_OFFLINE' }, lamport: '7', corr_id: 'order' }],
    ] as const) {
      peer.raw(JSON.stringify(message));
      const corrId = 'corrId' in message ? message.corrId : message.corr_id;
      t.ok((await peer.inbox.find((m) => m.corr_id === corrId)).ack, name);
    }
  },
);

t.test('the server’s Lamport clock is ahead of whatever it has heard', async (t) => {
  for (const transport of transports) {
    const peer = await connect(t, s.at, transport, (await member(s, 'rider')).token);
    const heard = Number((await peer.ask({ heartbeat: {} })).lamport) + 1_000_000;
    const answer = await peer.ask({ lamport: heard, heartbeat: {} });
    t.ok(Number(answer.lamport) > heard, transport);
    t.ok(answer.node_id, 'with the node and a sequence for equal times');
    const next = await peer.ask({ heartbeat: {} });
    t.ok(Number(next.lamport) > Number(answer.lamport));
    t.ok(Number(next.sequence) > Number(answer.sequence));
    const absurd = await peer.ask({ lamport: '18446744073709551615', heartbeat: {} });
    t.ok(Number(absurd.lamport) < Number.MAX_SAFE_INTEGER / 2, 'an absurd claim does not break the clock');
  }
});

t.test('subprotocols', async (t) => {
  const { token } = await member(s, 'rider');
  for (const [name, offered, chosen] of [
    ['both: the smaller one', ['ride.v1.json', 'ride.v1.protobuf'], 'ride.v1.protobuf'],
    ['JSON and an unknown one', ['chat', 'ride.v1.json'], 'ride.v1.json'],
    ['none: JSON', [], ''],
  ] as const) {
    const transport = chosen === 'ride.v1.protobuf' ? 'websocket-protobuf' : 'websocket-json';
    const peer = await openWebSocket(s.at, transport, token, { protocols: [...offered] });
    t.after(() => peer.cut());
    t.equal(peer.socket.protocol, chosen, name);
    t.ok((await peer.next((m) => m.welcome)).welcome, name);
  }
  const unknown = new WebSocket(`ws://${s.at.http}/ws`, ['chat'], { headers: { authorization: `Bearer ${token}` } });
  await t.rejects(new Promise((_, reject) => unknown.once('error', reject)), 'only an unknown one: no agreement');
});

t.test('every namespace is counted by its name', async (t) => {
  const operator = await member(s, 'admin');
  const stats = async () => (await s.rest('GET', '/admin/stats', operator.token)).body.sessions;
  await until(async () => (await stats()).total <= 20, 'sessions of the tests before to end');
  const before = (await stats()).by_namespace;
  const peers: Peer[] = [];
  for (const [path, role] of [
    ['/ws', 'service'],
    ['/ws/client', 'rider'],
    ['/ws/porter', 'driver'],
    ['/ws/driver', 'driver'],
    ['/ws/admin', 'dispatcher'],
  ] as const)
    peers.push(await connect(t, s.at, 'websocket-json', (await member(s, role)).token, { path }));
  peers.push(await connect(t, s.at, 'grpc', (await member(s, 'driver')).token));
  const now = (await stats()).by_namespace;
  const grown = (name: string): number => now[name] - (before[name] ?? 0);
  t.same(['ws', 'client', 'porter', 'admin', 'grpc'].map(grown), [1, 1, 2, 1, 1], 'driver is porter');
  for (const peer of peers) peer.cut();
});
t.end();
