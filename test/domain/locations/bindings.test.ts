/** What a node remembers of a driver's trip is true by the trip's events, and by its age where they were lost. */
import t from 'tap';
import { Bindings } from '../../../src/domain/locations/bindings.ts';
import type { TripStatus } from '../../../src/domain/statuses.ts';
import type { Trips } from '../../../src/domain/trips/service.ts';
import { manualClock } from '../stack.ts';

const PLACE = { lat: 40.7, lng: -74, city: 'nyc', zone: 'z' };

function setUp(status: TripStatus = 'assigned') {
  const clock = manualClock();
  const trip = { driverId: 'dan', riderId: 'ann', status, version: 3, source: PLACE, destination: PLACE };
  let asked = 0;
  const any: Trips['any'] = async (id) => {
    asked++;
    return id === 'trip' ? (trip as never) : null;
  };
  return { clock, trip, bindings: new Bindings({ any }, clock), asked: () => asked };
}

t.test('a driver’s trip is looked up once', async (t) => {
  const { bindings, clock, asked } = setUp();
  t.equal(bindings.known('dan', 'trip'), null);
  const binding = await bindings.lookUp('dan', 'trip', '');
  t.match(binding, { tripId: 'trip', riderId: 'ann', city: 'nyc', status: 'assigned', pickup: PLACE, dropoff: PLACE });
  clock.add(60_000);
  t.equal(bindings.known('dan', 'trip'), binding);
  t.ok(bindings.holds('dan', binding));
  t.equal(bindings.known('dan', 'another'), null);
  t.equal(bindings.known('eve', 'trip'), null);
  t.equal(asked(), 1);
});

t.test('it is looked up again after a while, however busy the driver is', async (t) => {
  const { bindings, clock } = setUp();
  await bindings.lookUp('dan', 'trip', '');
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 10_000) {
    t.ok(bindings.known('dan', 'trip'));
    clock.add(10_000);
  }
  clock.add(1);
  t.equal(bindings.known('dan', 'trip'), null);
});

t.test('events of his trip keep it true, and end it', async (t) => {
  const { bindings } = setUp();
  const binding = await bindings.lookUp('dan', 'trip', '');
  bindings.changed('dan', 'trip', 'in_progress');
  t.equal(binding.status, 'in_progress');
  bindings.changed('dan', 'another', 'completed');
  t.equal(bindings.known('dan', 'trip'), binding);
  for (const status of ['completed', 'requested'] as const) {
    await bindings.lookUp('dan', 'trip', '');
    bindings.changed('dan', 'trip', status);
    t.equal(bindings.known('dan', 'trip'), null, status);
  }
  t.notOk(bindings.holds('dan', binding));
});

t.test('who is gone is forgotten', async (t) => {
  const { bindings } = setUp();
  await bindings.lookUp('dan', 'trip', '');
  bindings.forget('dan');
  t.equal(bindings.known('dan', 'trip'), null);
});

t.test('a trip that is not the driver’s to report on is refused, and not remembered', async (t) => {
  const { bindings, trip } = setUp('completed');
  await t.rejects(bindings.lookUp('dan', 'none', 'updates[2].'), {
    code: 'RIDE_NOT_FOUND',
    field: 'updates[2].trip_id',
  });
  await t.rejects(bindings.lookUp('eve', 'trip', ''), { code: 'RIDE_FORBIDDEN', field: 'trip_id' });
  await t.rejects(bindings.lookUp('dan', 'trip', ''), {
    code: 'RIDE_ILLEGAL_TRANSITION',
    facts: { status: 'completed', version: 3 },
  });
  t.equal(bindings.known('dan', 'trip'), null);
  trip.status = 'driver_arrived';
  t.ok(await bindings.lookUp('dan', 'trip', ''));
});
