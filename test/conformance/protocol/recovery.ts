/** What a client gets back that it missed: by its own places, by a reconnect token, by waiting for it. */
import assert from 'node:assert/strict';
import type { Message } from '../../clients/inbox.ts';
import { resuming } from '../../clients/peer.ts';
import { assignedRide, member, offeredRide, type Ride } from '../../scene.ts';
import { until } from '../../until.ts';
import {
  acked,
  type Context,
  everywhere,
  followed,
  GRPC,
  inOrder,
  join,
  livesOn,
  orderedOf,
  type ProtocolCase,
  refusal,
  type Session,
  Skipped,
  section,
  statusOn,
} from './case.ts';

const say = async (ride: Ride, message_id: string): Promise<void> => {
  acked(await ride.driver.peer.ask({ chat_send: { trip_id: ride.id, message_id, text: message_id } }));
};

async function sayAll(ride: Ride, from: number, count: number): Promise<void> {
  for (let n = from; n < from + count; n++) await say(ride, `m${n}`);
}

/** A rider of an assigned trip (three events old) and the topic. */
async function scene(c: Context): Promise<{ ride: Ride; topic: string; peer: Session }> {
  const ride = await assignedRide(c.scope, c.place);
  return { ride, topic: `trip:${ride.id}`, peer: await join(c, ride.rider.token) };
}

/** The trip as it stands, which comes between `recovered: false` and what is live. */
async function stateOf(peer: Session, topic: string): Promise<Message> {
  const state = await peer.inbox.find((m) => m.trip_event && m.topic === topic && !Number(m.offset ?? 0), 'the state');
  const at = peer.inbox.all.findIndex((m) => m.subscribed?.topic === topic && !m.subscribed.recovered);
  assert.ok(at >= 0 && at < peer.inbox.all.indexOf(state), 'after subscribed');
  const ordered = peer.inbox.all.findIndex((m) => m.topic === topic && Number(m.offset ?? 0) > 0);
  assert.ok(ordered < 0 || ordered > peer.inbox.all.indexOf(state), 'before what is live');
  return state;
}

const recovery: Omit<ProtocolCase, 'section'>[] = [
  {
    title: 'from the beginning: all of it, then subscribed, then what is live',
    on: everywhere,
    async run(c) {
      const { ride, topic, peer } = await scene(c);
      const answer = followed(await peer.ask({ subscribe: { topic, since_offset: 0 } }));
      assert.equal(answer.recovered, true);
      assert.deepEqual([Number(answer.offset), Number(answer.replayed)], [3, 3]);
      const at = peer.inbox.all.findIndex((m) => m.subscribed);
      assert.equal(peer.inbox.all.slice(0, at).filter((m) => m.topic === topic && m.offset).length, 3, 'before it');
      assert.equal(orderedOf(peer, topic)[0]!.epoch, answer.epoch);
      await say(ride, 'm1');
      await peer.inbox.find((m) => m.chat_message, 'what is live');
      inOrder(orderedOf(peer, topic), 1);
    },
  },
  {
    title: 'without a place only what comes from now on',
    on: everywhere,
    async run(c) {
      const { ride, topic, peer } = await scene(c);
      const answer = followed(await peer.ask({ subscribe: { topic } }));
      assert.deepEqual([answer.recovered, Number(answer.offset), Number(answer.replayed ?? 0)], [true, 3, 0]);
      await say(ride, 'm1');
      await peer.inbox.find((m) => m.chat_message, 'what is live');
      inOrder(orderedOf(peer, topic), 4);
    },
  },
  {
    title: 'from a place: exactly the rest, also on another connection',
    on: everywhere,
    async run(c) {
      const { ride, topic, peer } = await scene(c);
      const { offset, epoch } = followed(await peer.ask({ subscribe: { topic } }));
      peer.cut();
      await sayAll(ride, 1, 4);
      const back = await join(c, ride.rider.token);
      const answer = followed(await back.ask({ subscribe: { topic, since_offset: offset, epoch } }));
      assert.deepEqual([answer.recovered, Number(answer.replayed)], [true, 4]);
      inOrder(orderedOf(back, topic), Number(offset) + 1);
      const upToDate = followed(
        await back.ask({ subscribe: { topic, since_offset: answer.offset, epoch: answer.epoch } }),
      );
      assert.deepEqual([upToDate.recovered, Number(upToDate.replayed ?? 0)], [true, 0]);
    },
  },
  {
    title: 'while others talk: no gap and no double between what was missed and what is live',
    on: everywhere,
    async run(c) {
      const { ride, topic } = await scene(c);
      const peers: Session[] = [];
      const talking = sayAll(ride, 1, 12);
      for (let n = 0; n < 6; n++) {
        const peer = await join(c, ride.rider.token);
        peers.push(peer);
        assert.equal(followed(await peer.ask({ subscribe: { topic, since_offset: 0 } })).recovered, true);
      }
      await talking;
      for (const peer of peers) {
        await until(() => orderedOf(peer, topic).length >= 15, 'all of it');
        inOrder(orderedOf(peer, topic), 1);
      }
    },
  },
  {
    title: 'another epoch and a place that never was: recovered is false, nothing of it is sent, and the place is told',
    on: everywhere,
    async run(c) {
      const { ride, topic, peer } = await scene(c);
      const { offset, epoch } = followed(await peer.ask({ subscribe: { topic } }));
      for (const place of [
        { since_offset: 1, epoch: 'another' },
        { since_offset: Number(offset) + 1, epoch },
      ]) {
        const answer = followed(await peer.ask({ subscribe: { topic, ...place } }));
        assert.ok(!answer.recovered);
        assert.deepEqual([Number(answer.offset), answer.epoch], [Number(offset), epoch]);
      }
      await say(ride, 'm1');
      await peer.inbox.find((m) => m.chat_message, 'what is live');
      inOrder(orderedOf(peer, topic), Number(offset) + 1);
    },
  },
  {
    title: 'after recovered false a fresh snapshot: how the trip stands, without an offset, before anything live',
    on: everywhere,
    async run(c) {
      const { ride, topic, peer } = await scene(c);
      const answer = followed(await peer.ask({ subscribe: { topic, since_offset: 1, epoch: 'another' } }));
      assert.ok(!answer.recovered);
      await say(ride, 'm1');
      await peer.inbox.find((m) => m.chat_message, 'what is live');
      const { trip_event: state, event_id } = await stateOf(peer, topic);
      assert.deepEqual([state.type, state.status, Number(state.seq)], ['assigned', 'assigned', 3]);
      assert.deepEqual([state.trip_id, state.driver_id, state.rider_id], [ride.id, ride.driver.id, ride.rider.id]);
      const all = await join(c, ride.rider.token);
      followed(await all.ask({ subscribe: { topic, since_offset: 0 } }));
      const events = all.inbox.all.filter((m) => m.topic === topic && m.trip_event);
      assert.deepEqual(
        events.map((m) => Number(m.offset ?? 0)),
        [1, 2, 3],
        'who missed nothing that is gone gets none',
      );
      assert.equal(events.at(-1)!.event_id, event_id, 'under the id of the event');
    },
  },
  {
    title: 'what is no longer kept: recovered is false, and never a part of it is sent',
    on: everywhere,
    async run(c) {
      if (!c.place.start) throw new Skipped('needs a server of its own, with a short history');
      const server = await c.place.start(c.scope, { HISTORY_LENGTH: '8' });
      const mine: Context = { ...c, place: { ...c.place, ...server } };
      const { ride, topic, peer } = await scene(mine);
      await sayAll(ride, 1, 8);
      const answer = followed(await peer.ask({ subscribe: { topic, since_offset: 0 } }));
      assert.ok(!answer.recovered);
      assert.equal(Number(answer.offset), 11);
      assert.deepEqual(orderedOf(peer, topic), []);
      const kept = followed(await peer.ask({ subscribe: { topic, since_offset: 3, epoch: answer.epoch } }));
      assert.deepEqual([kept.recovered, Number(kept.replayed)], [true, 8]);
    },
  },
];

const lost: Omit<ProtocolCase, 'section'>[] = [
  {
    title: 'a reconnect token restores who the client is and what it followed, and brings what was missed',
    on: everywhere,
    async run(c) {
      const { ride, topic, peer } = await scene(c);
      followed(await peer.ask({ subscribe: { topic, since_offset: 0 } }));
      peer.cut();
      await sayAll(ride, 1, 3);
      const back = await join(c, undefined, resuming(c.transport, peer.welcome.reconnect_token));
      assert.equal(back.welcome.user_id, ride.rider.id);
      assert.deepEqual(back.welcome.restored_topics, [topic]);
      assert.notEqual(back.welcome.reconnect_token, peer.welcome.reconnect_token, 'another one for the next');
      const { subscribed, corr_id } = await back.inbox.find((m) => m.subscribed?.topic === topic, 'it is restored');
      assert.deepEqual([subscribed.recovered, corr_id ?? ''], [true, '']);
      const all = [...orderedOf(peer, topic), ...orderedOf(back, topic)];
      assert.equal(new Set(all.map((m) => m.event_id)).size, 6, 'nothing is missing after repeats are dropped');
      await say(ride, 'live');
      await back.inbox.find((m) => m.chat_message?.message_id === 'live', 'what is live');
      const resumed = orderedOf(back, topic);
      inOrder(resumed, Number(resumed[0]!.offset));
    },
  },
  {
    title: 'a reconnect token is good once; unknown ones are refused, or do no harm beside a sign-in',
    on: everywhere,
    async run(c) {
      const { id, token } = await member(c.place, 'rider');
      const first = await join(c, token);
      first.cut();
      const used = resuming(c.transport, first.welcome.reconnect_token);
      await join(c, undefined, used);
      for (const options of [used, resuming(c.transport, 'A'.repeat(24))]) {
        const { status, code, field } = await refusal(c, undefined, options);
        assert.equal(status, statusOn(c.transport, 401, GRPC.unauthenticated));
        assert.deepEqual([code, field], ['RIDE_UNAUTHENTICATED', 'reconnect_token']);
        const anew = await join(c, token, options);
        assert.equal(anew.welcome.user_id, id);
        assert.deepEqual(anew.welcome.restored_topics ?? [], []);
      }
      const another = await join(c, (await member(c.place, 'rider')).token);
      const theirs = resuming(c.transport, another.welcome.reconnect_token);
      assert.equal((await refusal(c, token, theirs)).field, 'reconnect_token', 'of another user');
    },
  },
  {
    title: 'who ends the connection in good order leaves no token behind',
    on: everywhere,
    async run(c) {
      const { id, token } = await member(c.place, 'rider');
      const peer = await join(c, token);
      peer.close();
      await peer.ended;
      const path = `/api/v1/users/${id}/presence`;
      const isOnline = async () => (await c.place.rest('GET', path, token)).body.online === true;
      // Then the server surely knows.
      await until(async () => !(await isOnline()), 'the user to be offline', 30_000);
      const options = resuming(c.transport, peer.welcome.reconnect_token);
      assert.equal((await refusal(c, undefined, options)).field, 'reconnect_token');
    },
  },
];

const away: Omit<ProtocolCase, 'section'>[] = [
  {
    title: 'what was sent to an absent user waits for him and comes first, in order, without a subscribe',
    on: everywhere,
    async run(c) {
      const ride = await offeredRide(c.scope, c.place);
      // The rider has never been connected.
      const accept = { offer_id: ride.offerId, trip_id: ride.id, accept: true };
      acked(await ride.driver.peer.ask({ offer_reply: accept }));
      const peer = await join(c, ride.rider.token);
      const { topic, match, offset, epoch } = await peer.inbox.find((m) => m.match, 'the match');
      assert.equal(topic, `user:${ride.rider.id}`);
      assert.deepEqual([match.trip_id, match.driver_id], [ride.id, ride.driver.id]);
      inOrder(orderedOf(peer, topic), 1);
      acked(await peer.ask({ received: { topic, offset, epoch } }));
      peer.cut();
      const next = await join(c, ride.rider.token);
      await livesOn(next);
      assert.equal(followed(await next.ask({ subscribe: { topic } })).offset, offset, 'nothing is new');
      assert.ok(!next.inbox.all.some((m) => m.match), 'what was received does not come again');
    },
  },
  {
    title: 'what was not received comes again, under the same id and place',
    on: everywhere,
    async run(c) {
      const ride = await offeredRide(c.scope, c.place);
      const accept = { offer_id: ride.offerId, trip_id: ride.id, accept: true };
      acked(await ride.driver.peer.ask({ offer_reply: accept }));
      const first = await join(c, ride.rider.token);
      const topic = `user:${ride.rider.id}`;
      // Its own word counts from now on: it has nothing yet.
      acked(await first.ask({ received: { topic, offset: 0 } }));
      const once = await first.inbox.find((m) => m.match, 'the match');
      first.cut();
      const second = await join(c, ride.rider.token);
      const again = await second.inbox.find((m) => m.match, 'the match again');
      assert.deepEqual([again.event_id, again.offset, again.epoch], [once.event_id, once.offset, once.epoch]);
    },
  },
];

export const recoveryCases: ProtocolCase[] = [
  ...section('Recovery', recovery),
  ...section('After a lost connection', lost),
  ...section('While a user is away', away),
];
