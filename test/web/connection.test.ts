/** The stream comes back by itself, and says so when it must not. Socket, timers and clock are the test's. */
import t from 'tap';
import { connection as c } from './modules.ts';

class FakeSocket {
  sent: { corr_id: string; [kind: string]: unknown }[] = [];
  closed = false;
  onmessage: (event: { data: string }) => void = () => {};
  onclose: (event: { code: number; reason: string }) => void = () => {};
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    this.closed = true;
  }
  say(message: object): void {
    this.onmessage({ data: JSON.stringify(message) });
  }
  end(code: number, reason = ''): void {
    this.onclose({ code, reason });
  }
}

/** A connection in a world whose time the test moves. */
function world(openings: (() => Promise<FakeSocket>)[] = []) {
  let now = 1_000_000;
  let timers: { at: number; run: () => void }[] = [];
  const sockets: FakeSocket[] = [];
  const states: string[] = [];
  const messages: string[] = [];
  const probes: object[] = [];
  const connection = c.createConnection({
    open: async () => {
      const next = openings.shift();
      const socket = next ? await next() : new FakeSocket();
      sockets.push(socket);
      return socket;
    },
    onMessage: (envelope: { kind: string }) => messages.push(envelope.kind),
    onState: (state: { phase: string }) => states.at(-1) !== state.phase && states.push(state.phase),
    onProbe: (probe: object) => probes.push(probe),
    now: () => now,
    random: () => 1,
    setTimer: (run: () => void, ms: number) => {
      const timer = { at: now + ms, run };
      timers.push(timer);
      return timer;
    },
    clearTimer: (timer: object) => {
      timers = timers.filter((other) => other !== timer);
    },
  });
  /** Lets pending promises settle. */
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return {
    connection,
    sockets,
    states,
    messages,
    probes,
    last: () => sockets.at(-1)!,
    settle,
    async pass(ms: number) {
      const until = now + ms;
      for (;;) {
        const next = timers.filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
        if (!next) break;
        now = Math.max(now, next.at);
        timers = timers.filter((timer) => timer !== next);
        next.run();
        await settle();
      }
      now = until;
    },
  };
}

const welcome = { welcome: { heartbeat_interval_ms: '1000', heartbeat_timeout_ms: '3000' } };

async function live(openings: (() => Promise<FakeSocket>)[] = []) {
  const w = world(openings);
  await w.connection.connect();
  w.last().say(welcome);
  return w;
}

t.test('backoff doubles up to a bound and never comes back at once', (t) => {
  t.same(
    [1, 2, 3, 4].map((n) => c.backoffMs(n, 1)),
    [500, 1_000, 2_000, 4_000],
  );
  t.equal(c.backoffMs(50, 1), 15_000);
  t.equal(c.backoffMs(1, 0), 125);
  t.end();
});

t.test('welcome makes it live, heartbeats follow its interval, answers become probes', async (t) => {
  const w = await live();
  t.same(w.states, ['connecting', 'live']);
  t.match(w.last().sent[0], { heartbeat: { app_version: 'map' } });
  const { corr_id } = w.last().sent[0]!;
  w.last().say({ corr_id, ack: { server_time_ms: '1000007' } });
  t.match(w.probes, [{ sentAt: 1_000_000, receivedAt: 1_000_000, serverTimeMs: 1_000_007 }]);
  for (let i = 0; i < 5; i++) {
    await w.pass(1_000);
    w.last().say({ zone_broadcast: {} });
  }
  t.ok(w.last().sent.length >= 5, `${w.last().sent.length} heartbeats in five seconds`);
  t.equal(w.messages.filter((kind) => kind === 'zone_broadcast').length, 5);
});

t.test('messages carry the heartbeat when timers sleep', async (t) => {
  const w = await live();
  const before = w.last().sent.length;
  await w.pass(990);
  w.last().say({ zone_broadcast: {} });
  t.equal(w.last().sent.length, before, 'not before it is due');
  await w.pass(5);
  await w.pass(5);
  t.equal(w.last().sent.length, before + 1);
});

t.test('silence beyond the timeout is a lost connection', async (t) => {
  const w = await live();
  await w.pass(2_900);
  t.equal(w.connection.state.phase, 'live');
  await w.pass(1_200);
  t.equal(w.states[2], 'waiting');
  t.ok(w.sockets[0]!.closed);
});

t.test('closed by the server: waits, comes back, and starts the backoff anew after a welcome', async (t) => {
  const w = await live();
  w.last().end(1006);
  t.match(w.connection.state, { phase: 'waiting', attempt: 1, retryAt: 1_000_500 });
  await w.pass(500);
  t.equal(w.sockets.length, 2);
  w.last().end(1006);
  t.match(w.connection.state, { phase: 'waiting', attempt: 2 });
  await w.pass(1_000);
  w.last().say(welcome);
  t.match(w.connection.state, { phase: 'live', attempt: 0 });
});

t.test('what an abandoned socket says or does is ignored', async (t) => {
  const w = await live();
  const old = w.last();
  old.end(1006);
  await w.pass(500);
  w.last().say(welcome);
  const heard = w.messages.length;
  old.say({ zone_broadcast: {} });
  old.end(4501);
  t.equal(w.connection.state.phase, 'live');
  t.equal(w.messages.length, heard);
});

t.test('close codes from 4500 mean do not come back; 4000 to 4499 do', async (t) => {
  const refused = await live();
  refused.last().end(4502, 'The token has expired');
  t.match(refused.connection.state, { phase: 'refused', reason: 'The token has expired' });
  await refused.pass(60_000);
  t.equal(refused.sockets.length, 1);
  const draining = await live();
  draining.last().end(4000);
  t.equal(draining.connection.state.phase, 'waiting');
});

t.test('go_away names the delay', async (t) => {
  const w = await live();
  w.last().say({ go_away: { reason: 'draining', reconnect_after_ms: '7000' } });
  t.match(w.connection.state, { phase: 'waiting', reason: 'draining' });
  await w.pass(6_999);
  t.equal(w.sockets.length, 1);
  await w.pass(1);
  t.equal(w.sockets.length, 2);
});

t.test('a refused sign-in ends it, another failure to open is tried again', async (t) => {
  const fails = (error: Error) => () => Promise.reject(error);
  const refused = world([fails(Object.assign(new Error('no'), { fatal: true }))]);
  await refused.connection.connect();
  t.match(refused.connection.state, { phase: 'refused', reason: 'no' });
  const away = world([fails(new Error('away'))]);
  await away.connection.connect();
  t.match(away.connection.state, { phase: 'waiting', reason: 'away' });
  await away.pass(500);
  t.equal(away.sockets.length, 1);
});

t.test('a frame that cannot be read starts the connection again', async (t) => {
  const w = await live();
  w.last().onmessage({ data: 'nonsense{' });
  t.equal(w.connection.state.phase, 'waiting');
  t.match(w.connection.state.reason, /unreadable/);
});

t.test('hurry tries at once, stop stays away', async (t) => {
  const w = await live();
  w.last().end(1006);
  w.connection.hurry();
  await w.settle();
  t.equal(w.sockets.length, 2);
  w.connection.stop();
  w.connection.hurry();
  await w.pass(60_000);
  t.equal(w.sockets.length, 2);
  t.equal(w.connection.send('subscribe', { topic: 'x' }), '', 'and sends nothing');
});

t.test('no welcome in time is a lost connection too', async (t) => {
  const w = world();
  await w.connection.connect();
  await w.pass(12_000);
  t.equal(w.states[1], 'waiting');
});
