import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { StoreEvent, StoreHistory } from '../../sim/check/types.ts';
import { check } from '../../sim/check.ts';
import { type LedgerEntry, openLedger, readLedgers } from '../../sim/ledger.ts';

type Arrival = Extract<LedgerEntry, { k: 'event' }>;
interface Replay {
  ledger: LedgerEntry[];
  store: StoreHistory;
}

const completed = [
  'requested',
  'offered',
  'offer_declined',
  'offered',
  'assigned',
  'driver_arrived',
  'started',
  'completed',
];
const statuses = {
  completed,
  cancelled: ['requested', 'offered', 'assigned', 'cancelled'],
  expired: ['requested', 'expired'],
};

const arrival = (trip: string, rider: string, { id, seq, type }: StoreEvent): Arrival => {
  const ordered = { id, offset: seq, epoch: 'e1', trip, seq, type };
  return { at: 0, k: 'event', user: rider, role: 'rider', topic: `trip:${trip}`, ...ordered };
};

/** A replay without a fault: three completed trips by two drivers, one cancelled, one expired, one refused row. */
function cleanReplay(): Replay {
  const ledger: LedgerEntry[] = [{ at: 0, k: 'refused', row: 99, field: 'trip_distance', reason: 'zero' }];
  const store: StoreHistory = { trips: [], events: new Map() };
  const add = (n: number, status: keyof typeof statuses, driver: string | null) => {
    const [trip, rider, key] = [`trip_${n}`, `rider_${n}`, `key_${n}`];
    const events = statuses[status].map((type, i) => ({
      ...{ id: `evt_${n}_${i + 1}`, seq: i + 1, type, at: n * 1000 + i },
      driver_id: type === 'assigned' ? driver : null,
      actor_id: type === 'cancelled' ? rider : 'system',
    }));
    store.trips.push({ id: trip, status, rider_id: rider, driver_id: driver, event_seq: events.length });
    store.events.set(trip, events);
    ledger.push({ at: 0, k: 'good', row: n }, { at: 0, k: 'request', rider, row: n, key });
    ledger.push({ at: 0, k: 'requested', rider, row: n, key, trip });
    if (driver) ledger.push({ at: 0, k: 'won', driver, trip, via: 'ack' });
    ledger.push(...events.map((event) => arrival(trip, rider, event)));
    if (driver && status === 'completed') ledger.push({ at: 0, k: 'stepped', driver, trip, step: 'completed' });
    if (driver) ledger.push({ at: 0, k: 'free', driver, trip, why: status });
  };
  add(1, 'completed', 'drv_a');
  add(2, 'completed', 'drv_b');
  add(3, 'completed', 'drv_a');
  add(4, 'cancelled', 'drv_b');
  add(5, 'expired', null);
  return { ledger, store };
}

const arrivals = ({ ledger }: Replay, trip: string) =>
  ledger.filter((entry): entry is Arrival => entry.k === 'event' && entry.trip === trip);
const rulesOf = (replay: Replay) => check(replay.ledger, replay.store).differences.map((difference) => difference.rule);
const remove = (replay: Replay, entry: LedgerEntry) => replay.ledger.splice(replay.ledger.indexOf(entry), 1);

/** A clean replay with one fault in it, and the rules that the check says are broken. */
function broken(fault: (replay: Replay) => void): string[] {
  const replay = cleanReplay();
  fault(replay);
  return rulesOf(replay);
}

t.test('a clean ledger passes and is counted', async (t) => {
  const { ledger, store } = cleanReplay();
  const { differences, counts } = check(ledger, store);
  t.same(differences, []);
  t.match(counts, { goodRows: 5, refusedRows: 1, trips: 5, completed: 3, cancelledByRider: 1, expired: 1 });
  t.match(counts, { eventsInStore: 30, eventsReceived: 30, repeatsBeforeDedupe: 0, driversWithTrips: 2 });
});

t.test('a repeat under the same event id is allowed on the wire, and counted', async (t) => {
  const replay = cleanReplay();
  const list = arrivals(replay, 'trip_1');
  replay.ledger.push(list[1]!, list[2]!);
  const { differences, counts } = check(replay.ledger, replay.store);
  t.same(differences, []);
  t.equal(counts.repeatsBeforeDedupe, 2);
});

t.test('a lost event is caught, with its ids', async (t) => {
  const replay = cleanReplay();
  remove(replay, arrivals(replay, 'trip_2')[4]!);
  const { differences } = check(replay.ledger, replay.store);
  const detail = "assigned (seq 5) never reached the rider's socket";
  t.same(differences, [{ rule: 'event-lost', trip: 'trip_2', event: 'evt_2_5', detail }]);
});

t.test('a doubled event is caught', async (t) => {
  t.same(
    broken((replay) => replay.ledger.push({ ...arrivals(replay, 'trip_1')[3]!, id: 'evt_new' })),
    ['event-unknown', 'event-doubled'],
    'the same event under a new id',
  );
  t.same(
    broken((replay) => {
      const list = arrivals(replay, 'trip_1');
      list[4]!.seq = list[3]!.seq;
    }),
    ['event-altered', 'event-doubled'],
    'two events with one seq',
  );
  t.same(
    broken((replay) => replay.ledger.push({ ...arrivals(replay, 'trip_1')[3]!, type: 'completed' })),
    ['event-altered'],
    'one id with two contents',
  );
});

t.test('a swapped pair is caught', async (t) => {
  const rules = broken((replay) => {
    const [a, b] = arrivals(replay, 'trip_3').slice(2, 4) as [Arrival, Arrival];
    const [i, j] = [replay.ledger.indexOf(a), replay.ledger.indexOf(b)];
    replay.ledger[i] = b;
    replay.ledger[j] = a;
  });
  t.same(rules, ['event-order']);
});

t.test('any drop, copy under a new id, or swap, anywhere, is caught', async (t) => {
  const place = fc.tuple(fc.constantFrom(1, 2, 3, 4, 5), fc.nat(), fc.constantFrom('drop', 'copy', 'swap'));
  const property = fc.property(place, ([n, at, fault]) => {
    const rules = broken((replay) => {
      const list = arrivals(replay, `trip_${n}`);
      const victim = list[at % list.length]!;
      if (fault === 'drop') remove(replay, victim);
      else if (fault === 'copy') replay.ledger.push({ ...victim, id: 'evt_new' });
      else {
        const other = list[(at + 1) % list.length]!;
        const [i, j] = [replay.ledger.indexOf(victim), replay.ledger.indexOf(other)];
        replay.ledger[i] = other;
        replay.ledger[j] = victim;
      }
    });
    return rules.length > 0;
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 1 }));
});

t.test('lost, doubled, unknown and open trips are caught', async (t) => {
  const dropTrip = ({ store }: Replay) => store.trips.splice(4, 1);
  t.same(broken(dropTrip), ['trip-lost', 'event-unknown-trip'], 'a rider knows it, the store does not');
  const request = (row: number, trip: string): LedgerEntry => ({
    at: 0,
    k: 'requested',
    rider: 'rider_1',
    row,
    key: 'k',
    trip,
  });
  t.ok(broken(({ ledger }) => ledger.push(request(1, 'trip_9'))).includes('row-doubled'));
  t.ok(broken(({ ledger }) => ledger.push(request(2, 'trip_1'))).includes('trip-shared'));
  t.same(
    broken(({ ledger }) => ledger.push({ at: 0, k: 'good', row: 6 })),
    ['row-not-requested'],
  );
  const forget = ({ ledger }: Replay) =>
    ledger.splice(
      ledger.findIndex((entry) => entry.k === 'requested'),
      1,
    );
  t.same(broken(forget), ['row-not-requested', 'trip-unknown']);
  const open = ({ store }: Replay) => {
    store.trips[4]!.status = 'requested';
  };
  t.same(broken(open), ['trip-open']);
});

t.test('a history with a gap, a wrong length or a wrong end is caught', async (t) => {
  t.same(
    broken(({ store }) => store.events.get('trip_5')!.pop()),
    ['history-length', 'history-end', 'event-unknown'],
  );
  const skip = ({ store }: Replay) => {
    store.events.get('trip_1')![7]!.seq = 9;
  };
  t.same(broken(skip), ['history-gap', 'event-altered']);
});

t.test('a driver on two trips is caught, by the store and by its own ledger', async (t) => {
  const overlap = ({ store }: Replay) => {
    store.events.get('trip_3')![4]!.at = store.events.get('trip_1')![6]!.at;
  };
  t.same(broken(overlap), ['driver-on-two-trips']);
  const winEarly = ({ ledger }: Replay) => {
    const at = ledger.findIndex((entry) => entry.k === 'free' && entry.trip === 'trip_1');
    ledger.splice(at, 0, { at: 0, k: 'won', driver: 'drv_a', trip: 'trip_3', via: 'ack' });
  };
  t.same(broken(winEarly), ['driver-on-two-trips']);
});

t.test('a trip that another driver, or nobody, completed is caught', async (t) => {
  const other: LedgerEntry = { at: 0, k: 'stepped', driver: 'drv_b', trip: 'trip_1', step: 'completed' };
  t.same(
    broken(({ ledger }) => ledger.push(other)),
    ['trip-completed-by'],
  );
  const nobody = ({ ledger }: Replay) =>
    ledger.splice(
      ledger.findIndex((entry) => entry.k === 'stepped'),
      1,
    );
  t.same(broken(nobody), ['trip-completed-by']);
  const cancelled: LedgerEntry = { at: 0, k: 'stepped', driver: 'drv_b', trip: 'trip_4', step: 'completed' };
  t.same(
    broken(({ ledger }) => ledger.push(cancelled)),
    ['trip-completed-by'],
  );
});

t.test(
  'ledgers of several processes are read back; a line that a killed process left unfinished is left out',
  async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'ridestream-ledger-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const [a, b] = [openLedger(directory, 'a'), openLedger(directory, 'b')];
    b.write({ k: 'good', row: 2 });
    a.write({ k: 'good', row: 1 });
    a.close();
    b.close();
    t.match(readLedgers(directory), [
      { k: 'good', row: 1 },
      { k: 'good', row: 2 },
    ]);
    appendFileSync(join(directory, 'b.ledger.jsonl'), '{"k":"go');
    t.equal(readLedgers(directory).length, 2);
    appendFileSync(join(directory, 'b.ledger.jsonl'), 'od\n{}\n');
    t.throws(() => readLedgers(directory), /b.ledger.jsonl, line 2: not JSON/);
  },
);
