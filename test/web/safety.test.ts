/** What the page keeps of check-ins and flags: whatever order messages and reads come in, and what a read cannot know yet stays. */
import fc from 'fast-check';
import t from 'tap';
import { loader as l, safety as s, state as st, wire } from './modules.ts';

const checkIn = (tripId: string, status: string, atMs: number, more: object = {}) => ({
  tripId,
  status,
  hazards: ['long_stop'],
  riderId: 'r',
  driverId: `driver of ${tripId}`,
  deadlineMs: status === 'asked' ? atMs + 60 : 0,
  atMs,
  ...more,
});
const flag = (id: string, score: number, atMs = 1) => ({
  ...{ id, kind: 'collusion', subjectId: 'd', subjectRole: 'driver', score, atMs, facts: '{}' },
});

t.test('an SOS is first, then the question that runs out first; what is calm is gone', async (t) => {
  const safety = s.createSafety();
  s.applyCheckIn(safety, checkIn('a', 'asked', 20));
  s.applyCheckIn(safety, checkIn('b', 'asked', 10));
  s.applyCheckIn(safety, checkIn('c', 'escalated', 30));
  const order = () => s.checkInsInOrder(safety).map((one: { tripId: string }) => one.tripId);
  t.same(order(), ['c', 'b', 'a']);
  t.same(
    [...safety.alarms],
    [
      ['driver of a', 'asked'],
      ['driver of b', 'asked'],
      ['driver of c', 'escalated'],
    ],
  );
  s.applyCheckIn(safety, checkIn('c', 'calm', 40));
  s.applyCheckIn(safety, checkIn('b', 'escalated', 5));
  t.same(order(), ['b', 'a'], 'nor does the older replace the newer');
  t.equal(safety.checkIns.get('b').status, 'asked');
  t.equal(safety.alarms.has('driver of c'), false);
  s.applyFlag(safety, flag('x', 0.2));
  s.applyFlag(safety, flag('y', 0.9));
  t.same(
    s.flagsInOrder(safety).map((one: { id: string }) => one.id),
    ['y', 'x'],
  );
});

t.test('a full read takes away what is done with, and not what was heard of since', async (t) => {
  const safety = s.createSafety();
  s.applyCheckIn(safety, checkIn('old', 'asked', 10));
  s.applyCheckIn(safety, checkIn('new', 'escalated', 101));
  s.applyFlag(safety, flag('reviewed', 1, 10));
  s.applyFlag(safety, flag('fresh', 1, 101));
  s.replaceSafety(safety, { checkIns: [checkIn('read', 'asked', 50)], flags: [], truncated: true }, 100);
  t.same([...safety.checkIns.keys()].sort(), ['new', 'read']);
  t.same([...safety.flags.keys()], ['fresh']);
  t.hasStrict(safety, { known: true, truncated: true });
});

t.test('what is open is what was said last', async (t) => {
  const status = fc.constantFrom('asked', 'escalated', 'calm');
  // A check-in has one event at an instant.
  const story = fc.uniqueArray(fc.record({ id: fc.constantFrom('a', 'b'), status, at: fc.nat(50) }), {
    selector: ({ id, at }) => `${id} ${at}`,
    maxLength: 12,
  });
  const picture = (list: readonly { id: string; status: string; at: number }[]) => {
    const safety = s.createSafety();
    for (const { id, status, at } of list) s.applyCheckIn(safety, checkIn(id, status, at));
    return s.checkInsInOrder(safety);
  };
  const property = fc.property(story, (list) => {
    const inOrder = [...list].sort((a, b) => a.at - b.at);
    const last = ['a', 'b'].flatMap((id) => inOrder.filter((one) => one.id === id).slice(-1));
    const open = last.filter((one) => one.status !== 'calm').length;
    if (picture(inOrder).length !== open) throw new Error('in order, what is open is not what was said last');
  });
  t.doesNotThrow(() => fc.assert(property));
});

t.test('messages and reads become the same, whatever is missing or of another type', async (t) => {
  const frame = JSON.stringify({
    check_in: { trip_id: 't', status: 'asked', hazards: ['overspeed'], rider_id: 'r', deadline_ms: '90', at_ms: '30' },
  });
  const expected = { ...checkIn('t', 'asked', 30), hazards: ['overspeed'], driverId: '', deadlineMs: 90 };
  t.same(wire.readEnvelope(frame).body, expected);
  t.same(
    wire.readCheckIn({
      trip_id: 't',
      status: 'asked',
      hazards: ['overspeed'],
      rider_id: 'r',
      deadline: 90,
      updated_at: 30,
    }),
    expected,
  );
  t.same(wire.readCheckIn({ hazards: 'x', deadline: null }).hazards, []);
  t.equal(wire.readFlag({ id: 'f', evidence: [{ facts: { a: 1 } }, { facts: { b: 2 } }] }).facts, '{"b":2}');
  t.equal(wire.readEnvelope('{"anomaly_flag":{"anomaly_id":"f","score":0.5}}').body.score, 0.5);
});

t.test('the read is of the city, of what is open, and says when there is more', async (t) => {
  const state = st.createState();
  const asked: string[] = [];
  const answers: Record<string, object> = {
    'admin/check-ins?status=escalated': { items: [{ trip_id: 'a', status: 'escalated', city: 'here' }] },
    'admin/check-ins?status=asked': { items: [{ trip_id: 'b', status: 'asked', city: 'elsewhere' }] },
    'admin/anomalies?status=open': { items: [{ id: 'f', city: 'here' }], next_page_token: 'more' },
  };
  const get = async (path: string) => {
    asked.push(path);
    return answers[path.split('&')[0]!];
  };
  const loader = l.createLoader({ api: { get }, city: 'here', state, onProblem() {}, onSignIn() {} });
  t.equal(await loader.safety(), true);
  t.equal(asked.length, 3);
  t.same([...state.safety.checkIns.keys()], ['a']);
  t.same([...state.safety.flags.keys()], ['f']);
  t.equal(state.safety.truncated, true);
});
t.end();
