/** What proves a delivery, by the rules alone: as pieces, and in the life of the trip. */
import fc from 'fast-check';
import t from 'tap';
import {
  CODES_MAX,
  carries,
  classFor,
  codesLeft,
  type Delivery,
  type Shown,
} from '../../../src/domain/deliveries/rules.ts';
import { vehicleClasses } from '../../../src/domain/roles.ts';
import { evolve } from '../../../src/domain/trips/evolve.ts';
import { decide, type TripCommand, type TripState } from '../../../src/domain/trips/rules.ts';

const delivery = (accepts: Delivery['accepts']): Delivery => ({
  pickupContact: { name: 'Ada', phone: '+12125550100' },
  dropoffContact: { name: 'Grace', phone: '+12125550101' },
  parcel: { description: 'books', weightG: 1000 },
  accepts,
  code: '042917',
  wrongCodes: 0,
});

const onTheWay = (accepts: Delivery['accepts']): TripState => ({
  status: 'in_progress',
  riderId: 'sender',
  driverId: 'porter',
  offer: null,
  excludedDriverIds: [],
  offersMade: 1,
  matchDeadline: 0,
  updatedAt: 0,
  delivery: delivery(accepts),
});

const complete = (shown?: Shown): TripCommand => ({
  type: 'complete',
  driverId: 'porter',
  ...(shown ? { shown } : {}),
});

function act(state: TripState, shown?: Shown): { state: TripState; said: string } {
  const decision = decide(state, complete(shown), 7);
  if ('refusal' in decision) return { state, said: decision.refusal.code };
  return { state: decision.events.reduce(evolve, state), said: decision.events.map(({ type }) => type).join() };
}

t.test('the right code, or a photo where it is accepted', async (t) => {
  const code = act(onTheWay(['code']), { code: '042917' });
  t.match(code, { said: 'completed', state: { status: 'completed', delivery: { proof: { kind: 'code', at: 7 } } } });
  t.equal(act(code.state, { code: '042917' }).said, '', 'a repeat is done already');
  const photo = act(onTheWay(['code', 'photo']), { photoRef: 'photos/1' });
  t.match(photo.state.delivery!.proof, { kind: 'photo', photoRef: 'photos/1' });
  t.equal(
    act(onTheWay(['code']), { photoRef: 'photos/1' }).said,
    'RIDE_PROOF_REFUSED',
    'no photo for whoever wants a code',
  );
  t.equal(act(onTheWay(['photo']), { code: '042917' }).said, 'RIDE_PROOF_REFUSED');
  t.equal(act(onTheWay(['code', 'photo'])).said, 'RIDE_PROOF_REFUSED', 'nothing is no proof');
  const { delivery: _none, ...ride } = onTheWay(['code']);
  t.equal(act(ride as TripState).said, 'completed', 'a ride needs none');
  const early = { ...onTheWay(['code']), status: 'driver_arrived' as const };
  t.equal(
    act(early, { code: '042917' }).said,
    'RIDE_ILLEGAL_TRANSITION',
    'before it was picked up there is nothing to prove',
  );
  t.equal(act({ ...early, driverId: 'other' }, { code: '042917' }).said, 'RIDE_FORBIDDEN');
});

t.test('codes cannot be tried one after another: then only a photo is taken, whatever was accepted', async (t) => {
  const wrong = fc.stringMatching(/^[0-9]{6}$/).filter((code) => code !== '042917');
  const accepts = fc.constantFrom<Delivery['accepts']>(['code'], ['code', 'photo']);
  const property = fc.property(accepts, fc.array(wrong, { minLength: CODES_MAX, maxLength: 8 }), (accepts, codes) => {
    let state = onTheWay(accepts);
    for (const [i, code] of codes.entries()) {
      const { state: next, said } = act(state, { code });
      if (said !== (i < CODES_MAX ? 'proof_refused' : 'RIDE_PROOF_REFUSED')) throw new Error(`${i}: ${said}`);
      if (next.status !== 'in_progress' || codesLeft(next.delivery!) !== Math.max(0, CODES_MAX - i - 1))
        throw new Error('left');
      state = next;
    }
    if (act(state, { code: '042917' }).said !== 'RIDE_PROOF_REFUSED') throw new Error('the right one is late');
    return act(state, { photoRef: 'p' }).said === 'completed';
  });
  t.doesNotThrow(() => fc.assert(property));
});

t.test('the smallest vehicle that takes the parcel', async (t) => {
  const weigh = (weightG: number) => ({ description: 'x', weightG });
  t.same(
    [1, 15_000, 15_001, 60_001, 400_000].map((g) => classFor(weigh(g))),
    ['moto', 'moto', 'standard', 'xl', 'xl'],
  );
  t.equal(classFor(weigh(400_001)), null);
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400_000 }), fc.constantFrom(...vehicleClasses), (weightG, other) => {
        const least = classFor(weigh(weightG))!;
        return carries(least, weigh(weightG)) && (carries(other, weigh(weightG)) || other !== least);
      }),
    ),
  );
});
