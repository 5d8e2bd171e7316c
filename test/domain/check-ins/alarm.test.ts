/**
 * A check-in and the SOS that it becomes, in both directions: an escalation is one alert, and the end of the alert is the end of
 * the escalation, whatever is killed and whoever is faster.
 */
import { fromBinary } from '@bufbuild/protobuf';
import t, { type Test } from 'tap';
import type { CheckIn } from '../../../src/domain/check-ins/check-in.ts';
import type { Hazard, Warning } from '../../../src/domain/safety/rules.ts';
import type { Trip } from '../../../src/domain/trips/trip.ts';
import type { Collection, CollectionSpec, Store, StoredDocument } from '../../../src/ports/store.ts';
import { ServerEnvelopeSchema } from '../../../src/realtime/generated/ride/v1/ride_pb.js';
import { until } from '../../until.ts';
import {
  CENTER,
  type ManualClock,
  manualClock,
  onDuty,
  person,
  request,
  type Shared,
  type Stack,
  shared,
  stack,
} from '../stack.ts';

const desk = person('dispatcher', 'desk');
const rider = person('rider', 'rider');
const ANSWER_MS = 60_000;

async function place(t: Test): Promise<{ where: Shared; clock: ManualClock }> {
  const clock = manualClock();
  return { where: await shared(t, clock), clock };
}

async function driven(s: Stack): Promise<Trip> {
  await onDuty(s, 'driver');
  const { id } = await request(s, 'rider');
  await until(async () => (await s.trips.find(id))?.status === 'offered', 'an offer');
  return s.dispatch.accept(id, (await s.trips.find(id))!.offer!.id, 'driver');
}

/** Where the car is now. */
const seenAt = (s: Stack) => ({ ...CENTER, recordedAt: s.clock.now(), accuracyM: 4, source: 'stream' });

async function warn(s: Stack, { id }: Trip, hazard: Hazard, change: Warning['change'] = 'set'): Promise<void> {
  const ride = { tripId: id, riderId: 'rider', driverId: 'driver', city: 'testville' };
  const measured = { value: 1, threshold: 1, unit: 'ms' as const };
  await s.checkIns.warned(ride, { hazard, change, at: s.clock.now(), place: seenAt(s), ...measured });
}

/** Nobody answers the question that is open. */
async function unanswered(s: Stack, clock: ManualClock, { id }: Trip): Promise<void> {
  clock.add(ANSWER_MS + 1);
  await s.checkIns.expire(id, (await s.checkIns.get(desk, id)).round);
}

/** What one relay leads to, another may have to tell. */
async function settled(s: Stack): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await s.idle();
}

const checkIn = (s: Stack, { id }: Trip): Promise<CheckIn> => s.checkIns.get(desk, id);
const alerts = async (s: Stack) => (await s.sos.list({ pageSize: 50 })).items;

/** A node on which `before` runs ahead of the write that ties a check-in to its SOS. */
function withLink(before: () => Promise<void>): (store: Store) => Store {
  return (store) => ({
    ...store,
    collection<T extends StoredDocument>(spec: CollectionSpec<T>): Collection<T> {
      const real = store.collection<T>(spec);
      if (spec.name !== 'checkIns') return real;
      return {
        ...real,
        async compareAndSet(document, events = []) {
          if (events.some(({ type }) => type === 'check_in.alerted')) await before();
          return real.compareAndSet(document, events);
        },
      };
    },
  });
}

t.test('unanswered it is an SOS; resolved it is closed, and the detectors may raise again', async (t) => {
  const { where, clock } = await place(t);
  const s = await stack(t, where);
  const trip = await driven(s);
  await warn(s, trip, 'long_stop');
  await unanswered(s, clock, trip);
  await settled(s);
  const escalated = await checkIn(s, trip);
  const [alert] = await alerts(s);
  t.hasStrict(escalated, { status: 'escalated', alertId: alert!.id });
  t.hasStrict(alert, { tripId: trip.id, status: 'active' });

  await s.sos.resolve(desk, alert!.id);
  await settled(s);
  const closed = await checkIn(s, trip);
  t.hasStrict(closed, { status: 'calm', alertId: null, escalatedAt: null, present: ['long_stop'] });
  t.hasStrict(closed.history.at(-1), { type: 'closed', actorId: 'desk', alertId: alert!.id });
  await warn(s, trip, 'long_stop');
  t.equal((await checkIn(s, trip)).status, 'calm', 'not about what somebody has looked at');
  await warn(s, trip, 'long_stop', 'cleared');
  await warn(s, trip, 'long_stop');
  t.hasStrict(await checkIn(s, trip), { status: 'asked', round: 2 });
  await unanswered(s, clock, trip);
  await settled(s);
  const again = await alerts(s);
  t.same(
    again.map(({ status }) => status),
    ['active', 'resolved'],
    'and it is another alert',
  );
  t.equal((await checkIn(s, trip)).alertId, again[0]!.id);
});

t.test('question and SOS say how old the place is where the car was seen, and why', async (t) => {
  const { where, clock } = await place(t);
  const s = await stack(t, where);
  const trip = await driven(s);
  s.telematics.heard('driver', { inBackground: true });
  await until(async () => (await s.telematics.of('driver')) !== null, 'what his device said');
  const recordedAt = clock.now();
  await warn(s, trip, 'signal_lost');
  await settled(s);
  await unanswered(s, clock, trip);
  await settled(s);
  const last = async (topic: string) => {
    const { messages } = await s.bus.history(topic, { epoch: '', offset: 0 }, 100);
    return messages.map(({ payload }) => fromBinary(ServerEnvelopeSchema, payload).payload);
  };
  const trust = { positionRecordedAtMs: BigInt(recordedAt), accuracyM: 4, positionSource: 'stream' };
  const [asked, escalated] = (await last('user:rider')).flatMap(({ value, case: kind }) =>
    kind === 'checkIn' ? [value] : [],
  );
  t.hasStrict(asked, { type: 'asked', ...trust, ageMs: 0n, stale: false, staleReason: '' });
  const stale = { ...trust, ageMs: BigInt(ANSWER_MS + 1), stale: true, staleReason: 'background' };
  t.hasStrict(escalated, { type: 'escalated', ...stale });
  t.hasStrict((await last('sos:alerts'))[0]!.value, { userId: 'rider', ...stale }, 'the car’s and not the caller’s');
});

t.test('it folded into an alert that the rider had raised: closed with that one, and with no other', async (t) => {
  const { where, clock } = await place(t);
  const s = await stack(t, where);
  const trip = await driven(s);
  const own = await s.sos.trigger(rider, { tripId: '', position: null, note: 'help' });
  const foreign = await s.sos.trigger(person('driver', 'driver'), { tripId: trip.id, position: null, note: 'help' });
  await warn(s, trip, 'overspeed');
  await unanswered(s, clock, trip);
  await settled(s);
  t.hasStrict(await checkIn(s, trip), { status: 'escalated', alertId: own });
  await s.sos.resolve(desk, foreign);
  await settled(s);
  t.equal((await checkIn(s, trip)).status, 'escalated', 'the driver’s alert of the same trip is another');
  await s.sos.resolve(desk, own);
  await settled(s);
  t.equal((await checkIn(s, trip)).status, 'calm');
});

t.test('resolved before the check-in knew its SOS: closed all the same', async (t) => {
  const { where, clock } = await place(t);
  const other = await stack(t, where);
  let resolved = '';
  const s = await stack(t, where, {
    wrapStore: withLink(async () => {
      if (resolved) return;
      resolved = (await alerts(other))[0]!.id;
      await other.sos.resolve(desk, resolved);
      await settled(other);
    }),
  });
  const trip = await driven(s);
  await warn(s, trip, 'long_stop');
  await unanswered(s, clock, trip);
  await settled(s);
  t.equal((await alerts(s)).length, 1);
  t.hasStrict(await checkIn(s, trip), { status: 'calm', alertId: null });
});

for (const isResolved of [false, true]) {
  const name = isResolved ? 'and the SOS was resolved meanwhile' : 'and another node goes on';
  t.test(`killed between the SOS and its note, ${name}: one alert`, async (t) => {
    const { where, clock } = await place(t);
    const s = await stack(t, where);
    const dying = await stack(t, where, { wrapStore: withLink(() => Promise.reject(new Error('killed'))) });
    const trip = await driven(s);
    await warn(s, trip, 'long_stop');
    await unanswered(dying, clock, trip);
    await settled(dying);
    t.hasStrict(await checkIn(s, trip), { status: 'escalated', alertId: null });
    const [alert] = await alerts(s);
    if (isResolved) await s.sos.resolve(desk, alert!.id);
    await settled(s);
    const end = isResolved ? 'calm' : 'escalated';
    await until(async () => {
      clock.add(1000);
      await s.sweep();
      const { status, history } = await checkIn(s, trip);
      return status === end && history.some(({ type }) => type === 'alerted');
    }, 'the sweep of the other node');
    t.same(
      (await alerts(s)).map(({ id }) => id),
      [alert!.id],
    );
  });
}
t.end();
