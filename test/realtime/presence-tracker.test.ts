/** The record of who is here follows the truth: flapping, graces, writes that fail, leases that run out, records that get lost. */
import t from 'tap';
import { RideError } from '../../src/errors.ts';
import type { Leaving, Presences } from '../../src/ports/presences.ts';
import { PresenceTracker } from '../../src/realtime/presence.ts';
import { until } from '../until.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const GRACE_MS = 5000;

/** A record in memory that counts what is written, and fails or waits when it is told to. */
function memory() {
  const record = new Set<string>();
  const written: string[] = [];
  const state = { fails: false, failing: new Set<string>(), held: true, gate: null as Promise<void> | null, begun: 0 };
  async function answer(users = 0): Promise<void> {
    if (users > 0) {
      state.begun++;
      await state.gate;
    }
    if (state.fails) throw new RideError('RIDE_UNAVAILABLE', 'away');
  }
  const presences: Presences = {
    async join(userIds) {
      await answer(userIds.length);
      for (const userId of userIds) {
        if (state.failing.has(userId)) continue;
        if (!record.has(userId)) written.push(`+${userId}`);
        record.add(userId);
      }
      return userIds.filter((userId) => state.failing.has(userId));
    },
    async leave(leaving: readonly Leaving[]) {
      await answer(leaving.length);
      const failed = leaving.map(({ userId }) => userId).filter((userId) => state.failing.has(userId));
      for (const { userId } of leaving) {
        if (!state.failing.has(userId) && record.delete(userId)) written.push(`-${userId}`);
      }
      return failed;
    },
    async renew() {
      await answer();
      const { held } = state;
      state.held = true;
      if (!held) record.clear();
      return held;
    },
    sweep: async () => 0,
    recorded: async () => [...record],
    retire: async () => {},
    read: async (userId) => ({ userId, online: record.has(userId), lastSeenMs: null }),
  };
  return { presences, record, written, state };
}

function setUp() {
  const store = memory();
  const here = new Set<string>();
  let now = 1_000_000;
  const tracker = new PresenceTracker({
    presences: store.presences,
    isHere: (userId) => here.has(userId),
    users: () => here,
    graceMs: GRACE_MS,
    log,
    now: () => now,
  });
  return {
    ...store,
    here,
    tracker,
    comes(userId: string) {
      here.add(userId);
      tracker.arrived(userId);
    },
    goes(userId: string) {
      here.delete(userId);
      tracker.gone(userId);
    },
    wait(ms: number) {
      now += ms;
    },
    /** Until everything that is due is written. */
    settled: () => until(() => tracker.settled, 'everything to be written'),
  };
}

t.test('who comes is written at once, who goes after his grace', async (t) => {
  const s = setUp();
  for (const user of ['u', 'v', 'w']) s.comes(user);
  await s.settled();
  t.same(s.written, ['+u', '+v', '+w']);
  s.goes('u');
  await s.tracker.tick();
  await s.settled();
  t.ok(s.record.has('u'), 'not yet');
  s.wait(GRACE_MS - 1);
  s.goes('v');
  s.wait(1);
  await s.tracker.tick();
  await s.settled();
  t.same([...s.record], ['v', 'w']);
  s.wait(GRACE_MS);
  await s.tracker.tick();
  await s.settled();
  t.same(s.written, ['+u', '+v', '+w', '-u', '-v']);
});

t.test('who cannot be written holds nobody up, and is tried again at every tick', async (t) => {
  const s = setUp();
  s.state.failing.add('broken');
  s.comes('broken');
  // More than one round trip takes.
  for (let i = 0; i < 1200; i++) s.comes(`u${i}`);
  await until(() => s.record.size === 1200, 'all the others');
  t.notOk(s.record.has('broken'));
  s.goes('u7');
  s.wait(GRACE_MS);
  await s.tracker.tick();
  await until(() => !s.record.has('u7'), 'one of its batch to go');
  t.equal(s.tracker.settled, false, 'one is left');
  s.goes('broken');
  s.comes('broken');
  s.state.failing.clear();
  await s.tracker.tick();
  await s.settled();
  t.ok(s.record.has('broken'));
  s.state.failing.add('broken');
  s.goes('broken');
  s.goes('u8');
  s.wait(GRACE_MS);
  await s.tracker.tick();
  await until(() => !s.record.has('u8'), 'who goes with it');
  t.ok(s.record.has('broken'));
  s.state.failing.clear();
  await s.tracker.tick();
  await s.settled();
  t.notOk(s.record.has('broken'));
});

t.test('a reconnect within the grace writes nothing; each absence has a grace of its own', async (t) => {
  const s = setUp();
  s.comes('u');
  await s.settled();
  for (let i = 0; i < 10; i++) {
    s.goes('u');
    s.wait(GRACE_MS / 2);
    await s.tracker.tick();
    s.comes('u');
    s.wait(GRACE_MS / 2);
    await s.tracker.tick();
    await s.settled();
  }
  t.same(s.written, ['+u']);
  s.goes('u');
  s.wait(GRACE_MS);
  await s.tracker.tick();
  await s.settled();
  t.same(s.written, ['+u', '-u']);
});

t.test(
  'who goes while his coming is being written has his grace all the same, and who comes back while his going is',
  async (t) => {
    const s = setUp();
    const coming = Promise.withResolvers<void>();
    s.state.gate = coming.promise;
    s.comes('u');
    await until(() => s.state.begun === 1, 'his coming to be written');
    s.goes('u');
    coming.resolve();
    await s.settled();
    t.ok(s.record.has('u'));

    s.wait(GRACE_MS);
    const going = Promise.withResolvers<void>();
    s.state.gate = going.promise;
    await s.tracker.tick();
    await until(() => s.state.begun === 2, 'his going to be written');
    s.comes('u');
    going.resolve();
    await s.settled();
    t.ok(s.record.has('u'), 'he is here');
    t.same(s.written, ['+u', '-u', '+u']);
  },
);

t.test('what cannot be written is written later', async (t) => {
  const s = setUp();
  s.state.fails = true;
  s.comes('u');
  s.comes('gone again');
  await until(() => !s.tracker.writing, 'the failure');
  s.goes('gone again');
  await s.tracker.tick();
  t.same([...s.record], []);
  s.state.fails = false;
  await s.tracker.tick();
  await s.settled();
  t.same([...s.record], ['u'], 'only who is still here');
  s.goes('u');
  s.wait(GRACE_MS);
  s.state.fails = true;
  await s.tracker.tick();
  await until(() => !s.tracker.writing, 'the failure');
  s.state.fails = false;
  await s.tracker.tick();
  await s.settled();
  t.same([...s.record], []);
});

t.test('when the lease ran out all join again, in batches', async (t) => {
  const s = setUp();
  const users = Array.from({ length: 1200 }, (_, i) => `u${i}`);
  for (const user of users) s.comes(user);
  await s.settled();
  s.state.held = false;
  await s.tracker.tick();
  await s.settled();
  t.equal(s.record.size, 1200);
  t.equal(s.written.length, 2400);
});

t.test('a record that got lost comes back, and one that should be gone goes', async (t) => {
  const s = setUp();
  const users = Array.from({ length: 500 }, (_, i) => `u${i}`);
  for (const user of users) s.comes(user);
  await s.settled();
  s.record.delete('u7');
  s.record.add('ghost');
  let ticks = 0;
  await until(async () => {
    ticks++;
    await s.tracker.tick();
    await s.settled();
    return s.record.has('u7') && !s.record.has('ghost');
  }, 'record and truth to agree');
  t.ok(ticks <= 401, `within two rounds: ${ticks}`);
});
