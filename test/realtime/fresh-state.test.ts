/**
 * Who missed what is no longer kept gets the trip as it is now: after `recovered: false`, before anything live, on every transport.
 * Who missed nothing gets nothing besides.
 */
import { Redis } from 'ioredis';
import t from 'tap';
import { openEvents } from '../clients/events.ts';
import type { Message } from '../clients/inbox.ts';
import { connect, resuming, transports } from '../clients/peer.ts';
import { build } from '../helper.ts';
import { assignedRide, type Ride } from '../scene.ts';
import { until } from '../until.ts';

const topicOf = (ride: Ride): string => `trip:${ride.id}`;
const hasOffset = (m: Message): boolean => Number(m.offset ?? 0) > 0;
/** What a peer got of a trip, behind its welcome: the kind of each, `state` for an event that has no place. */
const kindsOf = (all: readonly Message[], topic: string): string[] =>
  all
    .filter((m) => m.topic === topic || m.subscribed?.topic === topic)
    .map((m) => {
      if (m.subscribed) return m.subscribed.recovered ? 'recovered' : 'gap';
      if (m.trip_event) return hasOffset(m) ? m.trip_event.type : 'state';
      return m.location ? 'location' : Object.keys(m).at(-1)!;
    });
const statesOf = (all: readonly Message[]): Message[] => all.filter((m) => m.trip_event && !hasOffset(m));
const events = (kinds: readonly string[]): string[] => kinds.filter((kind) => kind !== 'eta_refresh');

t.test('what is no longer kept: the state of the trip, before anything live', async (t) => {
  const s = await build(t, { env: { HISTORY_LENGTH: '2' } });
  for (const transport of transports) {
    const ride = await assignedRide(t, s);
    const topic = topicOf(ride);
    await ride.driver.peer.ask({ location_update: { ...ride.at, recorded_at_ms: Date.now(), trip_id: ride.id } });
    await ride.step('arrive');
    await ride.driver.peer.inbox.find((m) => m.trip_event?.type === 'driver_arrived', 'the fourth event');
    const peer = await connect(t, s.at, transport, ride.rider.token);
    const { subscribed } = await peer.ask({ subscribe: { topic, since_offset: 0 } });
    t.notOk(subscribed.recovered, transport);
    t.equal(Number(subscribed.offset), 4);
    await ride.step('start');
    const live = await peer.inbox.find((m) => m.trip_event?.type === 'started', 'what is live');
    t.equal(Number(live.offset), 5);
    t.same(events(kindsOf(peer.inbox.all, topic)).slice(0, 3), ['gap', 'state', 'location'], transport);
    const [state, ...others] = statesOf(peer.inbox.all.filter((m) => m.topic === topic));
    t.same(others, [], 'once');
    const { version, status } = state!.trip_event;
    t.hasStrict(
      { status, version: Number(version), seq: Number(state!.trip_event.seq) },
      { status: 'driver_arrived', version: 4, seq: 4 },
    );
    t.hasStrict(state!.trip_event, { trip_id: ride.id, driver_id: ride.driver.id, rider_id: ride.rider.id });
    const { body } = await s.rest('GET', `/api/v1/trips/${ride.id}/events`, ride.rider.token);
    t.equal(state!.event_id, body.items[3].id, 'under its own id: who knows it drops it');
  }
});

t.test('server-sent events: behind the gap, without an id, so that the place of the gap stays', async (t) => {
  const s = await build(t, { env: { HISTORY_LENGTH: '2' } });
  const ride = await assignedRide(t, s);
  const path = `/api/v1/trips/${ride.id}/events/stream`;
  const authorization = `Bearer ${ride.rider.token}`;
  const stream = await openEvents(t, s.at.http, `${path}?since=:0`, { authorization });
  const gap = await stream.next((m) => m.gap, 'gap');
  const state = await stream.next((m) => m.trip_event, 'how it stands');
  t.hasStrict(state.trip_event, { seq: '3', status: 'assigned', driver_id: ride.driver.id });
  t.notOk('id' in state);
  t.equal(stream.lastEventId(), gap.id);
  const back = await openEvents(t, s.at.http, path, { authorization, 'last-event-id': gap.id });
  t.equal((await back.next((m) => m.subscribed, 'nothing was missed')).subscribed.recovered, true);
  await ride.step('arrive');
  const live = await back.next((m) => m.trip_event, 'what is live');
  t.hasStrict(live, { id: `${gap.gap.epoch}:4`, trip_event: { type: 'driver_arrived' } });
});

t.test('Redis lost the topic: the state, by the own place and by a reconnect token', async (t) => {
  const s = await build(t);
  const redis = new Redis(s.redisUrl);
  t.teardown(() => redis.disconnect());
  for (const transport of transports) {
    const ride = await assignedRide(t, s);
    const topic = topicOf(ride);
    const peer = await connect(t, s.at, transport, ride.rider.token);
    const { subscribed } = await peer.ask({ subscribe: { topic, since_offset: 0 } });
    t.same(events(kindsOf(peer.inbox.all, topic)), ['requested', 'offered', 'assigned', 'recovered'], transport);
    const { reconnect_token } = peer.inbox.all.find((m) => m.welcome)!.welcome;
    peer.cut();
    await redis.del(`memory:{${topic}}`, `history:{${topic}}`);

    const own = await connect(t, s.at, transport, ride.rider.token);
    const { offset, epoch } = subscribed;
    t.notOk((await own.ask({ subscribe: { topic, since_offset: offset, epoch } })).subscribed.recovered);
    const restored = await connect(t, s.at, transport, undefined, resuming(transport, reconnect_token));
    for (const back of [own, restored]) {
      await until(() => statesOf(back.inbox.all).length > 0, 'how it stands');
      t.same(events(kindsOf(back.inbox.all, topic)), ['gap', 'state'], transport);
      t.hasStrict(statesOf(back.inbox.all)[0]!.trip_event, { type: 'assigned', driver_id: ride.driver.id });
    }
  }
});

t.test('who missed nothing, or asked for nothing that was, gets no state', async (t) => {
  const s = await build(t);
  const ride = await assignedRide(t, s);
  const topic = topicOf(ride);
  for (const transport of transports) {
    const peer = await connect(t, s.at, transport, ride.rider.token);
    const { subscribed } = await peer.ask({ subscribe: { topic } });
    await peer.ask({ subscribe: { topic, since_offset: 0 } });
    await peer.ask({ subscribe: { topic, since_offset: subscribed.offset, epoch: subscribed.epoch } });
    t.ok((await peer.ask({ heartbeat: {} })).ack);
    t.same(statesOf(peer.inbox.all), [], transport);
  }
});

t.test('a driver who gave the trip up is refused; its rider learns how it stands, and no position', async (t) => {
  const s = await build(t);
  const ride = await assignedRide(t, s);
  const topic = topicOf(ride);
  const { peer: driver, id, token } = ride.driver;
  await driver.ask({ location_update: { ...ride.at, recorded_at_ms: Date.now(), trip_id: ride.id } });
  t.equal((await s.rest('POST', `/api/v1/trips/${ride.id}/cancel`, token, {})).body.driver_id, null);
  for (const transport of transports) {
    const former = await connect(t, s.at, transport, token);
    const lost = { topic, since_offset: 1, epoch: 'another' };
    t.equal((await former.ask({ subscribe: lost })).error?.code, 'RIDE_FORBIDDEN', transport);
    t.same(statesOf(former.inbox.all.filter((m) => m.topic === topic)), [], 'nothing of it');
    const rider = await connect(t, s.at, transport, ride.rider.token);
    t.notOk((await rider.ask({ subscribe: lost })).subscribed.recovered);
    t.ok((await rider.ask({ heartbeat: {} })).ack);
    const of = rider.inbox.all.filter((m) => m.topic === topic);
    const { trip_event } = of.find((m) => m.trip_event && !hasOffset(m))!;
    const stored = await s.rest('GET', `/api/v1/trips/${ride.id}/events`, ride.rider.token);
    const { seq, type } = stored.body.items.find((e: Message) => e.seq === Number(trip_event.seq));
    t.same([Number(trip_event.seq), trip_event.type], [seq, type], 'an event of its history');
    t.ok(seq >= stored.body.items.find((e: Message) => e.type === 'driver_cancelled' && e.driver_id === id).seq);
    t.notOk(
      of.some((m) => m.location),
      'where that driver is',
    );
  }
});
