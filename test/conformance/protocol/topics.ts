/** Who may follow which topic, in which form its messages come, and who is present. */
import assert from 'node:assert/strict';
import type { Message } from '../../clients/inbox.ts';
import { assignedRide, lookingDriver, member, north, type Ride } from '../../scene.ts';
import { until } from '../../until.ts';
import {
  acked,
  type Context,
  everywhere,
  followed,
  inOrder,
  join,
  livesOn,
  orderedOf,
  over,
  type ProtocolCase,
  refused,
  type Session,
  Skipped,
  section,
} from './case.ts';

/** Topics that are followed before the bound is taken for out of reach; the general limit of a user is not far. */
const MANY_TOPICS = 60;

const topics: Omit<ProtocolCase, 'section'>[] = [
  {
    title: 'each role follows what it may and nothing else',
    on: everywhere,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const stranger = await member(c.place, 'rider');
      const operator = await member(c.place, 'admin');
      const city = ['zone:872a100d2ffffff', 'city:nowhere'];
      const trip = [`trip:${ride.id}`, `presence:${ride.driver.id}`, `presence:${ride.rider.id}`];
      const ofUsers = [`user:${ride.rider.id}`, `user:${ride.driver.id}`];
      const rights: [token: string, may: string[], mayNot: string[]][] = [
        [ride.rider.token, [...trip, ofUsers[0]!], [...city, ofUsers[1]!, 'sos:alerts']],
        [ride.driver.token, [...trip, city[0]!, ofUsers[1]!], [city[1]!, ofUsers[0]!, 'sos:alerts']],
        [stranger.token, [`presence:${stranger.id}`], [...trip, ...city, ...ofUsers, 'sos:alerts']],
        [operator.token, [...trip, ...city, ...ofUsers, 'sos:alerts'], []],
      ];
      for (const [token, may, mayNot] of rights) {
        const peer = await join(c, token);
        for (const topic of may) assert.equal(followed(await peer.ask({ subscribe: { topic } })).topic, topic);
        for (const topic of mayNot) refused(await peer.ask({ subscribe: { topic } }), 'RIDE_FORBIDDEN', 'topic');
        refused(await peer.ask({ subscribe: { topic: 'trip:none' } }), 'RIDE_NOT_FOUND', 'topic');
        for (const topic of ['', 'trip:', 'planet:earth', 'user'])
          refused(await peer.ask({ subscribe: { topic } }), 'RIDE_INVALID_INPUT', 'topic');
      }
    },
  },
  {
    title: 'order: is another name of trip:',
    on: everywhere,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const peer = await join(c, ride.rider.token);
      const { topic } = followed(await peer.ask({ subscribe: { topic: `order:${ride.id}`, since_offset: 0 } }));
      assert.equal(topic, `trip:${ride.id}`);
      assert.ok(orderedOf(peer, topic).length >= 3);
    },
  },
  {
    title: 'after unsubscribe nothing comes any more; to leave twice is no error',
    on: everywhere,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const topic = `trip:${ride.id}`;
      const [leaver, stayer] = [await join(c, ride.rider.token), await join(c, ride.rider.token)];
      for (const peer of [leaver, stayer]) followed(await peer.ask({ subscribe: { topic } }));
      for (let n = 0; n < 2; n++) acked(await leaver.ask({ unsubscribe: { topic } }));
      acked(await say(ride, 'm1'));
      await stayer.inbox.find((m) => m.chat_message, 'the message');
      await livesOn(leaver);
      assert.deepEqual(orderedOf(leaver, topic), []);
    },
  },
  {
    title: 'who takes a trip over gets what is said since, and of what was said before the place alone',
    on: everywhere,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const topic = `trip:${ride.id}`;
      const path = `/api/v1/trips/${ride.id}`;
      acked(await say(ride, 'before'));
      const next = await lookingDriver(c.scope, c.place, ride.at);
      const peer = await join(c, next.token);
      assert.equal((await c.place.rest('POST', `${path}/cancel`, ride.driver.token)).status, 200);
      const { job_offer } = await peer.inbox.find((m) => m.job_offer?.trip_id === ride.id, 'the offer');
      acked(await peer.ask({ offer_reply: { offer_id: job_offer.offer_id, trip_id: ride.id, accept: true } }));
      acked(await peer.ask({ chat_send: { trip_id: ride.id, message_id: 'since', text: 'since' } }));
      followed(await peer.ask({ subscribe: { topic, since_offset: '0' } }));
      const { chat_message } = await peer.inbox.find((m) => m.chat_message, 'what is said since');
      assert.equal(chat_message.message_id, 'since');
      const offsets = peer.inbox.all.filter((m) => m.topic === topic && m.offset).map((m) => Number(m.offset));
      assert.deepEqual(
        offsets,
        offsets.map((_, i) => i + 1),
      );
      const { items } = (await c.place.rest('GET', `${path}/messages`, next.token)).body;
      assert.deepEqual(
        items.map((m: Message) => m.message_id),
        ['since'],
      );
    },
  },
  {
    title: 'subscriptions are bounded; the one too many does no harm',
    on: everywhere,
    async run(c) {
      const peer = await join(c, (await member(c.place, 'dispatcher')).token);
      for (let n = 0; n < MANY_TOPICS; n++) {
        const answer = await peer.ask({ subscribe: { topic: `city:conformance-${n}` } });
        if (answer.subscribed) continue;
        refused(answer, 'RIDE_INVALID_INPUT', 'topic');
        acked(await peer.ask({ unsubscribe: { topic: 'city:conformance-0' } }));
        followed(await peer.ask({ subscribe: { topic: `city:conformance-${n}` } }));
        return;
      }
      throw new Skipped(`MAX_SUBSCRIPTIONS is above ${MANY_TOPICS}`);
    },
  },
  {
    title: 'a trip begins with where its driver is, presence with how it is',
    on: everywhere,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const here = { ...north(ride.at, 40), recorded_at_ms: Date.now(), trip_id: ride.id };
      acked(await ride.driver.peer.ask({ location_update: here }));
      const peer = await join(c, ride.rider.token);
      followed(await peer.ask({ subscribe: { topic: `trip:${ride.id}` } }));
      const { location } = await peer.inbox.find((m) => m.location, 'the newest location');
      assert.equal(Number(location.recorded_at_ms), here.recorded_at_ms);
      followed(await peer.ask({ subscribe: { topic: `presence:${ride.driver.id}` } }));
      const { presence } = await peer.inbox.find((m) => m.presence, 'the driver’s presence');
      assert.deepEqual([presence.user_id, presence.online], [ride.driver.id, true]);
    },
  },
  {
    title: 'only the first device that comes and the last that goes are told',
    on: everywhere,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const watcher = await join(c, ride.rider.token);
      const second = await join(c, ride.driver.token);
      followed(await watcher.ask({ subscribe: { topic: `presence:${ride.driver.id}` } }));
      await watcher.next((m) => m.presence?.online, 'online');
      ride.driver.peer.cut();
      second.cut();
      const { presence } = await watcher.next((m) => m.presence, 'his last device has gone');
      assert.ok(!presence.online && Number(presence.last_seen_ms) > 0);
      const path = `/api/v1/users/${ride.driver.id}/presence`;
      assert.equal((await c.place.rest('GET', path, ride.rider.token)).body.online, false);
      await join(c, ride.driver.token);
      assert.equal((await watcher.next((m) => m.presence, 'he is back')).presence.online, true);
      await join(c, ride.driver.token);
      const told = watcher.inbox.all.filter((m) => m.presence).map((m) => m.presence.online === true);
      assert.deepEqual(told, [true, false, true]);
    },
  },
];

/** The driver says something on the trip. */
const say = (ride: Ride, message_id: string) =>
  ride.driver.peer.ask({ chat_send: { trip_id: ride.id, message_id, text: message_id } });

const classes: Omit<ProtocolCase, 'section'>[] = [
  {
    title: 'ordered messages have a place and an id, the others have no place',
    on: everywhere,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const topic = `trip:${ride.id}`;
      const peer = await join(c, ride.rider.token);
      followed(await peer.ask({ subscribe: { topic, since_offset: 0 } }));
      acked(await say(ride, 'm1'));
      const here = { ...north(ride.at, 50), recorded_at_ms: Date.now(), trip_id: ride.id };
      acked(await ride.driver.peer.ask({ location_update: here }));
      acked(await ride.driver.peer.ask({ typing: { trip_id: ride.id, active: true } }));
      await ride.step('arrive');
      await peer.inbox.find((m) => m.typing_notice, 'typing');
      await peer.inbox.find((m) => m.trip_event?.type === 'driver_arrived', 'arrival');
      const all = peer.inbox.all.filter((m) => m.topic === topic);
      const ordered = all.filter((m) => m.trip_event || m.chat_message);
      inOrder(ordered, 1);
      assert.equal(new Set(ordered.map((m) => m.event_id)).size, ordered.length, 'an id of its own each');
      assert.ok(ordered.every((m) => m.event_id && m.epoch));
      assert.deepEqual(
        all.filter((m) => m.trip_event).map((m) => Number(m.trip_event.seq)),
        [1, 2, 3, 4],
      );
      const rest = all.filter((m) => m.location || m.eta_refresh || m.typing_notice);
      assert.ok(rest.length >= 2 && rest.every((m) => Number(m.offset ?? 0) === 0));
    },
  },
  {
    title: 'all sessions, over whatever transport, see one order',
    on: everywhere,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const topic = `trip:${ride.id}`;
      const others = everywhere.map((transport): Context => over(c, transport));
      const peers: Session[] = [];
      for (const one of others) peers.push(await join(one, ride.rider.token));
      for (const peer of peers) followed(await peer.ask({ subscribe: { topic, since_offset: 0 } }));
      const count = 10;
      await Promise.all(Array.from({ length: count }, (_, i) => say(ride, `m${i}`)));
      const seen = (peer: Session): string[] => orderedOf(peer, topic).map((m) => `${m.offset} ${m.event_id}`);
      for (const peer of peers) {
        await until(() => seen(peer).length === 3 + count, 'all of them');
        inOrder(orderedOf(peer, topic), 1);
        assert.deepEqual(seen(peer), seen(peers[0]!));
      }
    },
  },
];

export const topicCases: ProtocolCase[] = [...section('Topics', topics), ...section('Delivery classes', classes)];
