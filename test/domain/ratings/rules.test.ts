/** Who may rate whom: each side the other, once the trip is completed; the passengers of a departure its driver. */
import fc from 'fast-check';
import t from 'tap';
import { bookingStatuses } from '../../../src/domain/bookings/rules.ts';
import { type RatedTrip, reputationOf, whomToRate } from '../../../src/domain/ratings/rules.ts';
import { tripStatuses } from '../../../src/domain/statuses.ts';

const ride: RatedTrip = { status: 'completed', riderId: 'r', driverId: 'd' };
const departure: RatedTrip = { ...ride, riderId: '', bookings: [{ passengerId: 'p', status: 'completed' }] };

t.test('each side rates the other', async (t) => {
  t.same(whomToRate(ride, 'r'), { rated: { raterRole: 'rider', subjectId: 'd', subjectRole: 'driver' } });
  t.same(whomToRate(ride, 'd'), { rated: { raterRole: 'driver', subjectId: 'r', subjectRole: 'rider' } });
  t.same(whomToRate(departure, 'p'), { rated: { raterRole: 'rider', subjectId: 'd', subjectRole: 'driver' } });
});

t.test('refusals', async (t) => {
  t.same(whomToRate(ride, 'x'), { refusal: 'not_a_party' });
  t.same(whomToRate(departure, ''), { refusal: 'not_a_party' }, 'nobody is not the rider of a departure');
  t.same(whomToRate(departure, 'd'), { refusal: 'many' });
  t.same(whomToRate({ ...ride, driverId: 'r' }, 'r'), { refusal: 'himself' });
  for (const status of tripStatuses) {
    if (status === 'completed') continue;
    t.same(whomToRate({ ...ride, status }, 'r'), { refusal: 'not_completed' }, status);
    t.same(whomToRate({ ...ride, status }, 'x'), { refusal: 'not_a_party' }, 'a stranger is not told how it is');
  }
  for (const status of bookingStatuses) {
    const rode = status === 'boarded' || status === 'completed';
    const answer = whomToRate({ ...departure, bookings: [{ passengerId: 'p', status }] }, 'p');
    t.equal('rated' in answer, rode, status);
  }
});

t.test('nobody is ever rated by himself, or by who was not there', async (t) => {
  const user = fc.constantFrom('', 'a', 'b', 'c');
  const trip = fc.record({
    status: fc.constantFrom(...tripStatuses),
    riderId: user,
    driverId: fc.option(user),
  });
  fc.assert(
    fc.property(trip, user, (trip, rater) => {
      const answer = whomToRate(trip, rater);
      if ('refusal' in answer) return;
      const { subjectId, raterRole } = answer.rated;
      const parties = raterRole === 'rider' ? [trip.riderId, trip.driverId] : [trip.driverId, trip.riderId];
      if (subjectId === rater || subjectId === '' || parties[0] !== rater || parties[1] !== subjectId)
        throw new Error(JSON.stringify(answer));
    }),
  );
  t.same(reputationOf([5, 4, 1]), { count: 3, sum: 10 });
});
t.end();
