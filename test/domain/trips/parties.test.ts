/** What is remembered of whose trips are: only ever a yes, never for long, and never what was read before a change. */
import t from 'tap';
import type { Principal, Role } from '../../../src/domain/roles.ts';
import { PartiesMemory } from '../../../src/domain/trips/parties.ts';

const who = (userId: string, role: Role): Principal => ({
  userId,
  role,
  city: 'testville',
  vehicleClass: 'standard',
  premium: false,
  expiresAt: 0,
});
const rider = who('r', 'rider');
const parties = { riderId: 'r', driverId: 'd' };

/** Domain time runs three times as fast as the wall. */
function memoryAt() {
  let now = 1_000_000;
  const memory = new PartiesMemory({ now: () => now, toWallMs: (ms) => ms / 3 });
  return {
    memory,
    now: () => now,
    wait: (wallMs: number) => {
      now += 3 * wallMs;
    },
  };
}

t.test('the rider and operators are answered; a driver and strangers have the store asked', async (t) => {
  const { memory, now } = memoryAt();
  t.equal(memory.recall(rider, 'trip'), null, 'nothing is known');
  memory.keep('trip', parties, now());
  for (const one of [rider, who('r', 'driver'), who('o', 'admin'), who('o', 'dispatcher'), who('o', 'service')])
    t.same(memory.recall(one, 'trip'), parties, `${one.userId} as ${one.role}`);
  for (const one of [who('d', 'driver'), who('x', 'driver'), who('x', 'rider')])
    t.equal(memory.recall(one, 'trip'), null, `${one.userId} as ${one.role}`);
  t.equal(memory.recall(rider, 'other'), null);
});

t.test('for a second on the wall, counted from when the store was asked', async (t) => {
  const { memory, now, wait } = memoryAt();
  const askedAt = now();
  wait(400);
  memory.keep('trip', parties, askedAt);
  wait(599);
  t.same(memory.recall(rider, 'trip'), parties);
  wait(1);
  t.equal(memory.recall(rider, 'trip'), null);
  memory.keep('trip', parties, now());
  wait(-10);
  t.equal(memory.recall(rider, 'trip'), null, 'a clock that was put back proves nothing');
});

t.test('a change ends it, and what was being read when it came does not count', async (t) => {
  const { memory, now, wait } = memoryAt();
  memory.keep('trip', parties, now());
  wait(1);
  const askedAt = now();
  wait(1);
  memory.end('trip');
  t.equal(memory.recall(rider, 'trip'), null);
  memory.keep('trip', parties, askedAt);
  t.equal(memory.recall(rider, 'trip'), null, 'read before the change');
  memory.keep('trip', parties, now());
  t.equal(memory.recall(rider, 'trip'), null, 'or within the same instant');
  wait(1);
  memory.keep('trip', { ...parties, driverId: 'e' }, now());
  memory.keep('trip', parties, askedAt);
  t.equal(memory.recall(rider, 'trip')?.driverId, 'e', 'an older answer that comes later');
});

t.test('it is bounded: the longest unused go', async (t) => {
  const { memory, now, wait } = memoryAt();
  memory.keep('first', parties, now());
  memory.keep('kept', parties, now());
  for (let n = 0; n < 49_998; n++) memory.end(`other-${n}`);
  t.equal(memory.size, 50_000);
  wait(1);
  memory.keep('kept', parties, now());
  memory.end('one more');
  t.equal(memory.size, 50_000);
  t.equal(memory.recall(rider, 'first'), null);
  t.same(memory.recall(rider, 'kept'), parties);
});
