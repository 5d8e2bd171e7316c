/** Where a delivery goes another way than a ride: at its end, which is proved. */
import { evolve } from '../../src/domain/trips/evolve.ts';
import { decide, type TripState } from '../../src/domain/trips/rules.ts';

const PORTER = 'porter';

const atTheDoor: TripState = {
  status: 'in_progress',
  riderId: 'rider',
  driverId: PORTER,
  offer: null,
  excludedDriverIds: [],
  offersMade: 0,
  updatedAt: 0,
  matchDeadline: 0,
  delivery: {
    pickupContact: { name: '', phone: '' },
    dropoffContact: { name: '', phone: '' },
    parcel: { description: '', weightG: 1 },
    accepts: ['code', 'photo'],
    code: 'right',
    wrongCodes: 0,
  },
};

/** Transitions as the rules have them, each with its cause. */
export function* proofs(): Generator<{ from: string; to: string; event: string; cause: string }> {
  for (const [cause, shown] of [
    ['the porter says a wrong code', { code: 'wrong' }],
    ['the porter says the right code', { code: 'right' }],
    ['the porter shows a photo', { photoRef: 'photo' }],
  ] as const) {
    const decision = decide(atTheDoor, { type: 'complete', driverId: PORTER, shown }, 0);
    if ('refusal' in decision) continue;
    for (const event of decision.events)
      yield { from: atTheDoor.status, to: evolve(atTheDoor, event).status, event: event.type, cause };
  }
}
