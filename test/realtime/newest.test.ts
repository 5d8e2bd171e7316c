/** The newest value of a topic comes with its subscription: after what was missed and `subscribed`, before what is live. */
import t from 'tap';
import { openEvents } from '../clients/events.ts';
import type { Message } from '../clients/inbox.ts';
import { connect, transports } from '../clients/peer.ts';
import { publisherOn } from '../clients/publisher.ts';
import { beside, build } from '../helper.ts';
import { assignedRide } from '../scene.ts';

const kindOf = (m: Message): string =>
  Object.keys(m).find((key) =>
    ['welcome', 'trip_event', 'subscribed', 'location', 'eta_refresh', 'presence'].includes(key),
  ) ?? '?';

t.test('where the driver is, at once', async (t) => {
  const a = await build(t);
  const b = await build(t, { env: beside(a) });
  const ride = await assignedRide(t, a);
  const topic = `trip:${ride.id}`;
  const early = await connect(t, b.at, 'grpc', ride.rider.token);
  await early.ask({ subscribe: { topic } });
  const at = Date.now();
  const update = { ...ride.at, recorded_at_ms: at, speed_mps: 3, trip_id: ride.id };
  await a.rest('POST', '/api/v1/drivers/me/locations', ride.driver.token, { updates: [update] });
  await early.next((m) => m.location, 'the live one');
  t.equal(early.inbox.all.filter((m) => m.location).length, 1, 'there was none to begin with');

  for (const transport of transports) {
    const peer = await connect(t, b.at, transport, ride.rider.token);
    await peer.ask({ subscribe: { topic, since_offset: '0' } });
    const { location, topic: of } = await peer.next((m) => m.location, 'where he is');
    t.equal(of, topic);
    t.hasStrict(location, { trip_id: ride.id, driver_id: ride.driver.id, lat: ride.at.lat, speed_mps: 3 });
    t.equal(Number(location.recorded_at_ms), at);
    t.notOk(location.stale, 'fresh');
    t.same(
      // What waited in his inbox comes in between.
      peer.inbox.all
        .map(kindOf)
        .filter((kind) => kind !== '?')
        .slice(0, 6),
      ['welcome', 'trip_event', 'trip_event', 'trip_event', 'subscribed', 'location'],
      transport,
    );
  }
  const events = await openEvents(t, a.at.http, `/api/v1/trips/${ride.id}/events/stream?since=:0`, {
    authorization: `Bearer ${ride.rider.token}`,
  });
  await events.next((m) => m.location, 'where he is');
  t.same(
    events.inbox.all.filter((m) => m.event).map((m) => m.event),
    ['trip_event', 'trip_event', 'trip_event', 'subscribed', 'location'],
  );
});

t.test('where a driver was who gave the trip up is not said', async (t) => {
  const s = await build(t);
  const ride = await assignedRide(t, s);
  const topic = `trip:${ride.id}`;
  const update = { ...ride.at, recorded_at_ms: Date.now(), trip_id: ride.id };
  t.ok((await ride.driver.peer.ask({ location_update: update })).ack);
  t.equal((await s.rest('POST', `/api/v1/trips/${ride.id}/cancel`, ride.driver.token, {})).body.driver_id, null);
  for (const transport of transports) {
    const peer = await connect(t, s.at, transport, ride.rider.token);
    t.ok((await peer.ask({ subscribe: { topic } })).subscribed);
    t.ok((await peer.ask({ heartbeat: {} })).ack);
    t.same(
      peer.inbox.all.filter((m) => m.location),
      [],
      transport,
    );
  }
});

t.test('subscribing in the middle of a stream of positions never goes back in time', async (t) => {
  const s = await build(t);
  const ride = await assignedRide(t, s);
  const topic = `trip:${ride.id}`;
  const publisher = publisherOn(t, s.redisUrl);
  let running = true;
  let last = 0;
  const moving = (async () => {
    for (let i = 1; running; i++) {
      const update = { ...ride.at, recorded_at_ms: Date.now(), trip_id: ride.id };
      await ride.driver.peer.ask({ location_update: update });
      last = update.recorded_at_ms;
      publisher.publishLatest(topic, 'eta_refresh', {
        tripId: ride.id,
        etaS: i,
        distanceM: 1,
        leg: 'pickup',
        source: 'x',
        ageMs: 0,
        stale: false,
        positionSource: 'stream',
      });
    }
  })();
  t.teardown(() => {
    running = false;
  });
  for (let i = 0; i < 30; i++) {
    const peer = await connect(t, s.at, 'grpc', ride.rider.token);
    const before = last;
    await peer.ask({ subscribe: { topic } });
    await peer.next((m) => Number(m.location?.recorded_at_ms) > before, 'a newer position');
    const times = peer.inbox.all.filter((m) => m.location).map((m) => Number(m.location.recorded_at_ms));
    t.ok(times[0]! >= before, 'the first is no older than what was acknowledged before');
    t.same(
      times,
      [...times].sort((x, y) => x - y),
      'in order',
    );
    peer.close();
  }
  running = false;
  await moving;
});
