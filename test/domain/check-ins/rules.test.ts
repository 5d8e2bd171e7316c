/** The check-in as a machine: whatever comes in whatever order, nobody is left unasked, and no open question stays open for ever. */
import fc from 'fast-check';
import t from 'tap';
import {
  type CheckInCommand,
  type CheckInEvent,
  type CheckInState,
  calm,
  decideCheckIn,
  evolveCheckIn,
} from '../../../src/domain/check-ins/rules.ts';
import { hazards } from '../../../src/domain/safety/rules.ts';

const ANSWER_MS = 60_000;
const hazard = fc.constantFrom(...hazards);
const round = fc.integer({ min: 0, max: 5 });
const alert = fc.constantFrom('sos-1', 'sos-2');
/** Stands for the instant of the escalation that is open. */
const NOW = -1;
const command: fc.Arbitrary<CheckInCommand> = fc.oneof(
  fc.record({ type: fc.constant('raise' as const), hazard }),
  fc.record({ type: fc.constant('clear' as const), hazard }),
  fc.record({
    type: fc.constant('answer' as const),
    userId: fc.constantFrom('rider', 'driver', 'stranger'),
    round,
    // Help is rare, so that long stories are told too.
    isSafe: fc.nat(9).map((n) => n > 0),
  }),
  fc.record({ type: fc.constant('expire' as const), round }),
  fc.record({ type: fc.constant('end' as const) }),
  fc.record({ type: fc.constant('alert' as const), alertId: alert, escalatedAt: fc.constant(NOW) }),
  fc.record({ type: fc.constant('close' as const), alertId: alert, actorId: fc.constant('desk') }),
);
const story = fc.array(fc.tuple(command, fc.integer({ min: 0, max: 90_000 })), { maxLength: 60 });

function play(steps: readonly (readonly [CheckInCommand, number])[], visit: (step: Step) => void): void {
  let state = calm('rider', 'driver');
  let now = 1_000_000;
  for (const [said, after] of steps) {
    now += after;
    const command = said.type === 'alert' ? { ...said, escalatedAt: state.escalatedAt ?? NOW } : said;
    const decision = decideCheckIn(state, command, now, ANSWER_MS);
    const events = 'events' in decision ? decision.events : [];
    const next = events.reduce(evolveCheckIn, state);
    visit({
      before: state,
      command,
      now,
      events,
      after: next,
      refusal: 'refusal' in decision ? decision.refusal : null,
    });
    state = next;
  }
}

/** The state after one command that is taken. */
function play1(state: CheckInState, command: CheckInCommand): CheckInState {
  const decision = decideCheckIn(state, command, 0, ANSWER_MS);
  if ('refusal' in decision) throw new Error(decision.refusal);
  return decision.events.reduce(evolveCheckIn, state);
}

interface Step {
  before: CheckInState;
  command: CheckInCommand;
  now: number;
  events: CheckInEvent[];
  after: CheckInState;
  refusal: string | null;
}

t.test('of a departure each on board may answer, one for all, and nobody else', async (t) => {
  const begun: CheckInState = { ...calm('', 'driver'), passengerIds: ['ann', 'bob'] };
  const asked = play1(begun, { type: 'raise', hazard: 'long_stop' });
  t.equal(asked.status, 'asked');
  for (const userId of ['', 'stranger'])
    t.same(decideCheckIn(asked, { type: 'answer', userId, round: 1, isSafe: true }, 0, ANSWER_MS), {
      refusal: 'not_a_party',
    });
  for (const userId of ['ann', 'bob']) {
    t.equal(play1(asked, { type: 'answer', userId, round: 1, isSafe: true }).status, 'calm');
    t.equal(play1(asked, { type: 'answer', userId, round: 0, isSafe: false }).status, 'escalated');
  }
  t.equal(play1(asked, { type: 'answer', userId: 'driver', round: 1, isSafe: true }).status, 'asked');
});

t.test('the invariants of every story', async () => {
  fc.assert(
    fc.property(story, (steps) => {
      play(steps, ({ before, command, now, events, after, refusal }) => {
        if ((after.status === 'asked') !== (after.deadline !== null)) throw new Error('asked without a deadline');
        if (after.status === 'asked' && before.status !== 'asked' && after.deadline !== now + ANSWER_MS)
          throw new Error('another deadline');
        if (before.status === 'asked' && after.status === 'asked' && after.deadline !== before.deadline)
          throw new Error('the deadline was put off');
        if (before.status === 'escalated' && after.status !== 'escalated') {
          if (command.type !== 'close' || command.alertId !== before.alertId)
            throw new Error('an alarm was taken back');
          if (after.accepted.length !== after.present.length) throw new Error('asked again about what was looked at');
        }
        if (after.alertId !== null && after.status !== 'escalated') throw new Error('an SOS of what is none');
        if (before.alertId !== null && after.alertId !== null && after.alertId !== before.alertId)
          throw new Error('another SOS than it became');
        if (after.round < before.round || after.round > before.round + 1) throw new Error('rounds');
        if (after.accepted.some((one) => !after.present.includes(one))) throw new Error('accepted what is not there');
        if (command.type === 'raise' && before.status === 'calm' && !before.present.includes(command.hazard)) {
          if (after.status !== 'asked') throw new Error('a hazard and nobody is asked');
        }
        const safe =
          command.type === 'answer' && command.isSafe && before.status === 'asked' && after.status === 'calm';
        if (safe && (command as { userId: string }).userId !== 'rider')
          throw new Error('someone else said that all is well');
        if (refusal && events.length > 0) throw new Error('refused and done');
        if (command.type === 'answer' && command.userId === 'stranger' && refusal !== 'not_a_party')
          throw new Error('a stranger was heard');
        const again = events.length > 0 ? decideCheckIn(after, command, now, ANSWER_MS) : null;
        const isRepeatable = command.type !== 'answer' || before.status !== 'asked';
        if (again && 'events' in again && again.events.length > 0 && isRepeatable && after.status !== 'escalated')
          throw new Error(`${command.type} happened twice`);
      });
    }),
    { numRuns: 1000 },
  );
});

t.test('an open question ends: by an answer, by its hazards’ end, by the trip’s, or as an alarm', async () => {
  fc.assert(
    fc.property(story, (steps) => {
      let last: CheckInState = calm('rider', 'driver');
      play(steps, ({ after }) => {
        last = after;
      });
      if (last.status !== 'asked') return true;
      const early = decideCheckIn(last, { type: 'expire', round: last.round }, last.deadline! - 1, ANSWER_MS);
      const late = decideCheckIn(last, { type: 'expire', round: last.round }, last.deadline!, ANSWER_MS);
      return 'events' in early && early.events.length === 0 && 'events' in late && late.events[0]?.type === 'escalated';
    }),
  );
});

t.test('a story: asked, all is well, not asked again until it was over', async (t) => {
  const seen: string[] = [];
  play(
    [
      [{ type: 'raise', hazard: 'long_stop' }, 0],
      [{ type: 'answer', userId: 'driver', round: 1, isSafe: true }, 1000],
      [{ type: 'answer', userId: 'rider', round: 1, isSafe: true }, 1000],
      [{ type: 'expire', round: 1 }, 60_000],
      [{ type: 'raise', hazard: 'long_stop' }, 1000],
      [{ type: 'clear', hazard: 'long_stop' }, 1000],
      [{ type: 'raise', hazard: 'long_stop' }, 1000],
      [{ type: 'clear', hazard: 'long_stop' }, 1000],
      [{ type: 'raise', hazard: 'overspeed' }, 1000],
      [{ type: 'expire', round: 3 }, 60_000],
      [{ type: 'end' }, 0],
    ],
    ({ events }) => seen.push(events.map(({ type }) => type).join('+')),
  );
  t.same(seen, [
    'hazard_raised+asked',
    'driver_answered',
    'confirmed_safe',
    '',
    '',
    'hazard_cleared',
    'hazard_raised+asked',
    'hazard_cleared+withdrawn',
    'hazard_raised+asked',
    'escalated',
    '',
  ]);
});

t.test('an alarm that an operator closed: quiet about what is there, and asked anew about what comes', async (t) => {
  const seen: string[] = [];
  const safe = { type: 'answer', userId: 'rider', round: 1, isSafe: true } as const;
  play(
    [
      [{ type: 'raise', hazard: 'long_stop' }, 0],
      [{ type: 'expire', round: 1 }, 60_000],
      [{ type: 'close', alertId: 'sos-1', actorId: 'desk' }, 1000],
      [{ type: 'alert', alertId: 'sos-1', escalatedAt: NOW }, 1000],
      [{ type: 'alert', alertId: 'sos-2', escalatedAt: NOW }, 1000],
      [safe, 1000],
      [{ type: 'close', alertId: 'sos-2', actorId: 'desk' }, 1000],
      [{ type: 'close', alertId: 'sos-1', actorId: 'desk' }, 1000],
      [{ type: 'close', alertId: 'sos-1', actorId: 'desk' }, 1000],
      [{ type: 'raise', hazard: 'long_stop' }, 1000],
      [{ type: 'clear', hazard: 'long_stop' }, 1000],
      [{ type: 'raise', hazard: 'long_stop' }, 1000],
      [{ type: 'expire', round: 2 }, 60_000],
    ],
    ({ events }) => seen.push(events.map(({ type }) => type).join('+')),
  );
  const late = ['hazard_cleared', 'hazard_raised+asked', 'escalated'];
  t.same(seen, ['hazard_raised+asked', 'escalated', '', 'alerted', '', '', '', 'closed', '', '', ...late]);
});

t.test('help is help: of either side, also when nothing is asked any more', async (t) => {
  for (const userId of ['rider', 'driver']) {
    const decision = decideCheckIn(calm('rider', 'driver'), { type: 'answer', userId, round: 0, isSafe: false }, 1, 1);
    t.match(decision, { events: [{ type: 'escalated', actorId: userId, reason: `${userId}_asked_for_help` }] });
  }
});
t.end();
