/** Offers as they are counted: whatever happens to a trip, those made are those that ended and those still open. */
import fc from 'fast-check';
import t from 'tap';
import { offersOf } from '../../../src/domain/dispatch/counting.ts';
import { askedOf } from '../../../src/domain/offers/rules.ts';
import { evolve } from '../../../src/domain/trips/evolve.ts';
import { decide, type TripFact } from '../../../src/domain/trips/rules.ts';
import { intent, requested, T0, toCommand } from '../trips/arbitraries.ts';

t.test('made is ended and open, after every event of every story', async (t) => {
  const seen = new Set<string>();
  const stories = fc.array(intent, { minLength: 1, maxLength: 40 });
  const property = fc.property(stories, (wishes) => {
    let state = requested();
    let now = T0;
    let open = 0;
    const count = (fact: TripFact): void => {
      const offers = offersOf(fact);
      if (!offers) return;
      seen.add(offers.outcome);
      open += offers.outcome === 'made' ? offers.count : -offers.count;
    };
    for (const wish of wishes) {
      now += wish.waitMs;
      const decision = decide(state, toCommand(wish, state, now), now);
      for (const fact of 'events' in decision ? decision.events : []) {
        count(fact);
        state = evolve(state, fact);
      }
      const asked = state.offer ? askedOf(state.offer).length : 0;
      if (open !== asked) throw new Error(`${open} counted as open, ${asked} are: ${JSON.stringify(state)}`);
    }
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 1000 }));
  t.same([...seen].sort(), ['accepted', 'declined', 'expired', 'made', 'withdrawn'], 'the stories have them all');
});

t.test('who says no has declined; who is late, alone or among others, has let it expire', async (t) => {
  const fact = { at: 1, driverId: 'ann', actorId: 'ann' };
  t.same(offersOf({ ...fact, type: 'offer_narrowed' }), { outcome: 'declined', count: 1 });
  t.same(offersOf({ ...fact, type: 'offer_narrowed', actorId: 'system' }), { outcome: 'expired', count: 1 });
  t.equal(offersOf({ ...fact, type: 'completed' }), null);
  t.equal(offersOf({ ...fact, type: 'cancelled' }), null, 'nobody was asked just then');
});
t.end();
