/** The simulator's session against a server that is played by the test, message by message. */
import t from 'tap';
import type { Envelope, LinkEvents } from '../../../sim/clients/link.ts';
import { Session } from '../../../sim/clients/session.ts';
import { Scheduler } from '../../../sim/scheduler.ts';

const servers = [
  { http: 'a:1', grpc: 'a:2' },
  { http: 'b:1', grpc: 'b:2' },
];

interface Connection {
  server: string;
  sent: Envelope[];
  say(envelope: Envelope): void;
  drop(): void;
}

function setUp(t: { after(fn: () => void): void }) {
  const scheduler = new Scheduler();
  const connections: Connection[] = [];
  const waiting: ((connection: Connection) => void)[] = [];
  const got: string[] = [];
  const raw: string[] = [];
  const open = (server: { grpc: string }, events: LinkEvents) => {
    const sent: Envelope[] = [];
    const drop = () => events.onEnd('gone');
    const connection = { server: server.grpc, sent, say: events.onMessage, drop };
    connections.push(connection);
    queueMicrotask(() => waiting.shift()?.(connection));
    return { send: (envelope: Envelope) => sent.push(envelope), close: drop };
  };
  const handlers = {
    onWelcome: () => {},
    onRaw: (_name: string, _payload: unknown, envelope: Envelope) => raw.push(String(envelope.event_id)),
    onPayload: (_name: string, _payload: unknown, envelope: Envelope) => got.push(String(envelope.event_id)),
    onSubscribed: () => {},
    onTopicRefused: () => {},
    onEnd: () => {},
  };
  const session = new Session({ servers, open, scheduler, draw: () => 0, userTopic: 'user:u1', handlers });
  t.after(() => {
    session.close();
    scheduler.stop();
  });
  const connected = () => new Promise<Connection>((resolve) => waiting.push(resolve));
  return { session, connected, connections, got, raw };
}

const welcome = { welcome: { session_id: 's1', heartbeat_interval_ms: '5000' } };
const event = (offset: number, id: string, epoch = 'e1') => ({
  ...{ topic: 'trip:t1', offset: String(offset), epoch, event_id: id },
  trip_event: { trip_id: 't1', seq: String(offset), type: 'offered' },
});
const asked = (connection: Connection, name: string) => connection.sent.filter((envelope) => name in envelope);

t.test('after a lost connection it goes on at the other server, at its place in each topic', async (t) => {
  const { session, connected, got, raw } = setUp(t);
  const first = connected();
  session.connect();
  const a = await first;
  a.say(welcome);
  session.subscribe('trip:t1');
  t.match(asked(a, 'subscribe').at(-1), { subscribe: { topic: 'trip:t1', since_offset: '0', epoch: '' } });
  a.say({ subscribed: { topic: 'user:u1', recovered: true, offset: '7', epoch: 'e9' } });
  a.say(event(1, 'one'));
  a.say(event(2, 'two'));
  a.say(event(2, 'two'));
  const second = connected();
  a.drop();
  const b = await second;
  t.not(b.server, a.server);
  b.say(welcome);
  const places = asked(b, 'subscribe').map((envelope) => envelope.subscribe);
  t.same(places, [
    { topic: 'user:u1', since_offset: '7', epoch: 'e9' },
    { topic: 'trip:t1', since_offset: '2', epoch: 'e1' },
  ]);
  b.say(event(2, 'two'));
  b.say(event(3, 'three'));
  t.same(got, ['one', 'two', 'three'], 'each once');
  t.same(raw, ['one', 'two', 'two', 'two', 'three'], 'the ledger hears of all');
});

t.test('what was not answered is asked again on the next connection, in order, and answered once', async (t) => {
  const { session, connected } = setUp(t);
  const first = connected();
  const answers = ['step 1', 'step 2'].map((key) => session.ask(key, { ride_status: { status: key } }));
  session.connect();
  const a = await first;
  t.same(a.sent, [], 'nothing before the welcome');
  a.say(welcome);
  t.equal(session.ask('step 1', { ride_status: { status: 'step 1' } }) !== answers[0], true);
  t.equal(asked(a, 'ride_status').length, 2, 'the same question is not sent twice');
  const second = connected();
  a.drop();
  const b = await second;
  b.say(welcome);
  const again = asked(b, 'ride_status');
  t.same(
    again.map((envelope) => envelope.ride_status),
    [{ status: 'step 1' }, { status: 'step 2' }],
  );
  b.say({ corr_id: again[0]!.corr_id, ack: { accepted: 1 } });
  b.say({ corr_id: again[1]!.corr_id, error: { code: 'RIDE_OFFER_CLOSED', message: 'too late' } });
  t.match(await Promise.all(answers), [{ ok: true }, { ok: false, code: 'RIDE_OFFER_CLOSED' }]);
});

t.test('a refusal that may pass is asked again after the pause that the server names', async (t) => {
  const { session, connected } = setUp(t);
  const first = connected();
  session.connect();
  const a = await first;
  a.say(welcome);
  const answer = session.ask('step', { ride_status: {} });
  const refusal = { code: 'RIDE_UNAVAILABLE', retryable: true, retry_after_ms: '10' };
  a.say({ corr_id: asked(a, 'ride_status')[0]!.corr_id, error: refusal });
  while (asked(a, 'ride_status').length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  a.say({ corr_id: asked(a, 'ride_status')[1]!.corr_id, ack: {} });
  t.match(await answer, { ok: true });
});

t.test('a server that is going away is left for the other one, not before it says', async (t) => {
  const { session, connected, connections } = setUp(t);
  const first = connected();
  session.connect();
  const a = await first;
  a.say(welcome);
  const atMs = performance.now();
  const second = connected();
  a.say({ go_away: { reason: 'draining', reconnect_after_ms: '120' } });
  t.equal(session.isOpen, false);
  await second;
  t.ok(performance.now() - atMs >= 115);
  t.equal(connections.length, 2);
});
