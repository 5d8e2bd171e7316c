/** The trip's rules as a state machine: random sequences of commands, right and wrong ones, against what must always hold. */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { askedOf } from '../../../src/domain/offers/rules.ts';
import { isDriven, isTerminal, tripStatuses } from '../../../src/domain/statuses.ts';
import { evolve, statusAfter } from '../../../src/domain/trips/evolve.ts';
import {
  type Decision,
  decide,
  type TripCommand,
  type TripFact,
  type TripState,
  tripEventTypes,
} from '../../../src/domain/trips/rules.ts';
import { DRIVERS, type Intent, intent, offerTo, RIDER, requested, SEARCH_MS, T0, toCommand } from './arbitraries.ts';

interface Taken {
  before: TripState;
  command: TripCommand;
  decision: Decision;
  after: TripState;
  now: number;
}

function freeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) if (inner !== null && typeof inner === 'object') freeze(inner);
  return Object.freeze(value);
}

const eventsOf = (decision: Decision): readonly TripFact[] => ('events' in decision ? decision.events : []);

/** Runs a sequence; everything is frozen on the way, so a rule that changed its input would throw. */
function run(wishes: readonly Intent[]): Taken[] {
  let state = freeze(requested());
  let now = T0;
  return wishes.map((wish) => {
    now += wish.waitMs;
    const before = state;
    const command = freeze(toCommand(wish, before, now));
    const decision = decide(before, command, now);
    for (const event of eventsOf(decision)) state = freeze(evolve(state, freeze(event)));
    return { before, command, decision, after: state, now };
  });
}

const sequence = fc.array(intent, { minLength: 1, maxLength: 40 });
const holds = (t: Test, check: (taken: Taken[]) => void): void => {
  const property = fc.property(sequence, (wishes) => check(run(wishes)));
  t.doesNotThrow(() => fc.assert(property, { numRuns: 500 }));
};
const must = (condition: boolean, what: string, taken: unknown): void => {
  if (!condition) throw new Error(`${what}: ${JSON.stringify(taken)}`);
};

t.test('the random sequences reach every status and every event', async (t) => {
  const statuses = new Set<string>();
  const types = new Set<string>(['requested']);
  for (const wishes of fc.sample(sequence, { numRuns: 3000, seed: 42 })) {
    for (const { after, decision } of run(wishes)) {
      statuses.add(after.status);
      for (const event of eventsOf(decision)) types.add(event.type);
    }
  }
  t.same([...statuses].sort(), [...tripStatuses].sort());
  // Only a delivery is proved: test/domain/deliveries/rules.test.ts.
  t.same([...types].sort(), tripEventTypes.filter((type) => type !== 'proof_refused').sort());
});

t.test('terminal states absorb', async (t) => {
  holds(t, (all) => {
    for (const taken of all) {
      if (isTerminal(taken.before.status)) must(eventsOf(taken.decision).length === 0, 'an event after the end', taken);
    }
  });
});

t.test('there is a driver when the trip is driven, and none while one is sought', async (t) => {
  holds(t, (all) => {
    for (const { after } of all) {
      if (isDriven(after.status) || after.status === 'completed') must(after.driverId !== null, 'no driver', after);
      if (['requested', 'offered', 'expired'].includes(after.status)) must(after.driverId === null, 'driver', after);
      must((after.offer !== null) === (after.status === 'offered'), 'an offer exactly while offered', after);
      must(after.driverId === null || after.matchedAt !== undefined, 'a driver since an instant', after);
    }
  });
});

t.test('whoever declined, let an offer pass or gave the trip up is never offered or given it again', async (t) => {
  holds(t, (all) => {
    for (const { before, decision, after } of all) {
      for (const event of eventsOf(decision)) {
        const named = event.type === 'offered' ? askedOf(event.offer!) : [event.driverId ?? ''];
        const out = named.some((id) => before.excludedDriverIds.includes(id));
        if (event.type === 'offered' || event.type === 'assigned')
          must(!out, `${event.type} to an excluded one`, event);
        if (['offer_narrowed', 'offer_declined', 'offer_expired', 'driver_cancelled'].includes(event.type)) {
          must(after.excludedDriverIds.includes(event.driverId!), 'not excluded', event);
        }
      }
      must(new Set(after.excludedDriverIds).size === after.excludedDriverIds.length, 'twice in the list', after);
      must(
        before.excludedDriverIds.every((id) => after.excludedDriverIds.includes(id)),
        'forgotten',
        { before, after },
      );
    }
  });
});

t.test('who gives a trip up leaves it all the time to find another', async (t) => {
  holds(t, (all) => {
    for (const { before, decision, after } of all) {
      const gaveUp = eventsOf(decision).find(({ type }) => type === 'driver_cancelled');
      const deadline = gaveUp ? Math.max(before.matchDeadline, gaveUp.at + SEARCH_MS) : before.matchDeadline;
      must(after.matchDeadline === deadline, 'another deadline', { before, after });
    }
  });
});

t.test('nobody is asked to drive himself, nor may he', async (t) => {
  const offer = offerTo(RIDER, 'o1', T0 + 5);
  for (const several of [offer, offerTo('ann', 'o1', T0 + 5)]) {
    const mine = { ...several, ...(several === offer ? {} : { others: [{ ...offer, driverId: RIDER }] }) };
    const refused = decide(requested(), { type: 'offer', offer: mine }, T0);
    t.match(refused, { refusal: { code: 'RIDE_OFFER_CLOSED' } });
  }
  const open = { ...requested(), status: 'offered' as const, offer };
  const accepted = decide(open, { type: 'accept', offerId: 'o1', driverId: RIDER }, T0);
  t.match(accepted, { refusal: { code: 'RIDE_FORBIDDEN' } });
});

t.test('only the driver of an open offer that has not expired gets the trip', async (t) => {
  holds(t, (all) => {
    for (const { before, command, decision, now } of all) {
      const assigned = eventsOf(decision).find(({ type }) => type === 'assigned');
      if (!assigned) continue;
      must(command.type === 'accept' && before.status === 'offered', 'accepted', { before, command });
      const { driverId } = command as { driverId: string };
      must(assigned.driverId === driverId, 'the one who said yes', { assigned, command });
      must(askedOf(before.offer!).includes(driverId), 'somebody else', { before, command });
      must(before.offer!.expiresAt > now, 'too late', { before, now });
    }
  });
});

t.test(
  'an offer to several ends for each of them by an event of his own, and who was only too slow may be asked again',
  async (t) => {
    holds(t, (all) => {
      for (const { before, decision, after } of all) {
        const events = eventsOf(decision);
        if (!before.offer || events.some(({ type }) => type === 'cancelled')) continue;
        const left = after.offer ? askedOf(after.offer) : [];
        const ended = events.flatMap(({ driverId, offer }) => (offer?.driverId === driverId ? [driverId!] : []));
        must([...left, ...ended].sort().join() === askedOf(before.offer).sort().join(), 'once each', {
          before,
          events,
        });
        for (const { type, driverId } of events)
          if (type === 'offer_withdrawn') must(!after.excludedDriverIds.includes(driverId!), 'out', { before, after });
        must(after.offer?.others?.length !== 0, 'others, or none', after);
      }
    });
  },
);

t.test('a decision is dated now, follows the table of statuses, and says everything that changed', async (t) => {
  holds(t, (all) => {
    let replayed = requested();
    for (const { decision, after, now } of all) {
      for (const event of eventsOf(decision)) {
        must(event.at === now, 'dated', event);
        replayed = evolve(replayed, event);
        must(replayed.status === statusAfter[event.type], 'status', { event, replayed });
      }
      must(JSON.stringify(replayed) === JSON.stringify(after), 'the events alone tell the state', { replayed, after });
    }
  });
});

t.test('a refusal changes nothing and carries what a loser needs', async (t) => {
  holds(t, (all) => {
    for (const { before, decision, after } of all) {
      if (!('refusal' in decision)) continue;
      must(after === before, 'changed', { before, after });
      const { facts, message } = decision.refusal;
      must(facts.status === before.status && facts.driver_id === before.driverId && message !== '', 'facts', decision);
    }
  });
});

t.test('a repeat by the same actor is neither refused nor done twice', async (t) => {
  holds(t, (all) => {
    for (const { command, decision, after, now } of all) {
      if (eventsOf(decision).length === 0 || command.type === 'offer') continue;
      const repeat = decide(after, command, now);
      must('events' in repeat && repeat.events.length === 0, 'repeat', { command, repeat, after });
    }
  });
});

t.test('decide and evolve answer for every status and command, also where no sequence has led', async (t) => {
  const state = fc
    .record({
      status: fc.constantFrom(...tripStatuses),
      riderId: fc.constant(RIDER),
      driverId: fc.constantFrom(...DRIVERS),
      offer: fc.constantFrom(...DRIVERS).map((d) => offerTo(d, 'o1', T0 + 5)),
      excludedDriverIds: fc.subarray([...DRIVERS]),
      offersMade: fc.nat(),
      updatedAt: fc.constant(T0),
      matchDeadline: fc.constant(T0),
    })
    .map((any): TripState => {
      const driven = !['requested', 'offered', 'expired'].includes(any.status);
      return { ...any, driverId: driven ? any.driverId : null, offer: any.status === 'offered' ? any.offer : null };
    });
  const answers = fc.property(state, intent, (any, wish) => {
    const decision = decide(freeze(any), toCommand(wish, any, T0), T0 + wish.waitMs);
    must('refusal' in decision || Array.isArray(decision.events), 'an answer', decision);
    for (const event of eventsOf(decision)) must(evolve(any, event).status === statusAfter[event.type], 'next', event);
  });
  t.doesNotThrow(() => fc.assert(answers, { numRuns: 3000 }));
});
