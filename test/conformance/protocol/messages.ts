/** Every message of a client: what it does, and what it is refused for. */
import assert from 'node:assert/strict';
import type { Message } from '../../clients/inbox.ts';
import { assignedRide, bookedDeparture, member, north, offeredRide, somewhere } from '../../scene.ts';
import { acked, everywhere, followed, join, json, type ProtocolCase, refused, Skipped, section } from './case.ts';

const SECTION = 'Asking and being answered';

/** What is told of a position beside it: as it was sent, and as old as it is. */
function trusted(told: Message, seen: { recorded_at_ms: number; accuracy_m: number; source: string }): void {
  assert.equal(Number(told.position_recorded_at_ms), seen.recorded_at_ms);
  assert.ok(Number(told.age_ms) >= 2000, `measured two seconds before the welcome: ${told.age_ms} ms`);
  assert.deepEqual([told.accuracy_m, told.position_source], [seen.accuracy_m, seen.source]);
  assert.deepEqual([told.stale ?? false, told.stale_reason ?? ''], [false, '']);
}

const cases: Omit<ProtocolCase, 'section'>[] = [
  {
    title: 'heartbeat: the ack has the server’s time',
    on: everywhere,
    async run(c) {
      const peer = await join(c, (await member(c.place, 'service')).token);
      const sent = { client_time_ms: Date.now(), battery_ratio: 0, signal_dbm: -90, app_version: '1' };
      const { server_time_ms } = acked(await peer.ask({ heartbeat: sent }));
      assert.ok(Number(server_time_ms) >= Number(peer.welcome.server_time_ms));
    },
  },
  {
    title: 'heartbeat: what a device says of itself is taken, or refused by rule',
    on: everywhere,
    async run(c) {
      const driver = await join(c, (await member(c.place, 'driver')).token);
      acked(await driver.ask({ heartbeat: { battery_ratio: 1, signal_dbm: -150, in_background: true } }));
      const wrong = { battery_ratio: 1.01, signal_dbm: 1, app_version: 'x'.repeat(65) };
      for (const [field, value] of Object.entries(wrong)) {
        refused(await driver.ask({ heartbeat: { [field]: value } }), 'RIDE_INVALID_INPUT', field);
      }
      acked(await driver.ask({ heartbeat: {} }));
    },
  },
  {
    title: 'location_update: kept, late, refused by rule, refused by role',
    on: everywhere,
    async run(c) {
      const driver = await join(c, (await member(c.place, 'driver')).token);
      const now = Date.now();
      const at = somewhere();
      const first = { ...at, recorded_at_ms: now, speed_mps: 0, heading_deg: 0, accuracy_m: 5 };
      assert.equal(acked(await driver.ask({ location_update: first })).accepted, 1);
      const late = acked(await driver.ask({ location_update: { ...first, recorded_at_ms: now - 1000 } }));
      assert.deepEqual([late.accepted ?? 0, late.late], [0, 1]);
      for (const [field, wrong] of Object.entries({ lat: 90.1, lng: -181, speed_mps: -1, heading_deg: 361 })) {
        refused(await driver.ask({ location_update: { ...first, [field]: wrong } }), 'RIDE_INVALID_INPUT', field);
      }
      refused(await driver.ask({ location_update: { lng: 1, recorded_at_ms: now } }), 'RIDE_INVALID_INPUT', 'lat');
      const rider = await join(c, (await member(c.place, 'rider')).token);
      refused(await rider.ask({ location_update: first }), 'RIDE_FORBIDDEN', 'location_update');
    },
  },
  {
    title: 'location_batch: all are taken, or none',
    on: everywhere,
    async run(c) {
      const driver = await join(c, (await member(c.place, 'driver')).token);
      const now = Date.now();
      const updates = [3, 2, 1].map((ago) => ({ ...somewhere(), recorded_at_ms: now - ago * 1000 }));
      const spoilt = [...updates.slice(0, 2), { ...updates[2], lat: 91 }];
      refused(await driver.ask({ location_batch: { updates: spoilt } }), 'RIDE_INVALID_INPUT');
      refused(await driver.ask({ location_batch: { updates: [] } }), 'RIDE_INVALID_INPUT');
      const ack = acked(await driver.ask({ location_batch: { updates } }));
      assert.equal(Number(ack.accepted) + Number(ack.late ?? 0), 3);
      assert.ok(Number(ack.accepted) >= 1, 'none of the refused batch was there');
      const rider = await join(c, (await member(c.place, 'rider')).token);
      refused(await rider.ask({ location_batch: { updates } }), 'RIDE_FORBIDDEN', 'location_batch');
    },
  },
  {
    title: 'ride_status: a driver’s duty and the steps of his trip',
    on: everywhere,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const driver = await join(c, ride.driver.token);
      const say = (status: string, trip_id = '') => driver.ask({ ride_status: { status, trip_id } });
      refused(await say('STATUS_UNSPECIFIED'), 'RIDE_INVALID_INPUT', 'status');
      refused(await say('STATUS_ARRIVED'), 'RIDE_INVALID_INPUT', 'trip_id');
      refused(await say('STATUS_COMPLETED', ride.id), 'RIDE_ILLEGAL_TRANSITION');
      for (const status of ['STATUS_ARRIVED', 'STATUS_STARTED', 'STATUS_COMPLETED']) acked(await say(status, ride.id));
      acked(await say('STATUS_COMPLETED', ride.id));
      for (const status of ['STATUS_BUSY', 'STATUS_LOOKING', 'STATUS_OFFLINE']) acked(await say(status));
      const { body } = await c.place.rest('GET', `/api/v1/trips/${ride.id}`, ride.rider.token);
      assert.equal(body.status, 'completed');
    },
  },
  {
    title: 'ride_status: a rider looks for his open trips, and may not do a driver’s steps',
    on: everywhere,
    async run(c) {
      const ride = await offeredRide(c.scope, c.place);
      const rider = await join(c, ride.rider.token);
      assert.equal(acked(await rider.ask({ ride_status: { status: 'STATUS_LOOKING' } })).accepted, 1);
      acked(await rider.ask({ ride_status: { status: 'STATUS_OFFLINE' } }));
      refused(await rider.ask({ ride_status: { status: 'STATUS_ARRIVED', trip_id: ride.id } }), 'RIDE_FORBIDDEN');
      const accept = { offer_id: ride.offerId, trip_id: ride.id, accept: true };
      acked(await ride.driver.peer.ask({ offer_reply: accept }));
      const { topic } = await rider.inbox.find((m) => m.trip_event?.type === 'assigned', 'what happens to the trip');
      assert.equal(topic, `trip:${ride.id}`);
      const idle = await join(c, (await member(c.place, 'rider')).token);
      assert.equal(acked(await idle.ask({ ride_status: { status: 'STATUS_LOOKING' } })).accepted ?? 0, 0);
    },
  },
  {
    title: 'offer_reply: the trip is his, a repeat answers alike, another one is too late',
    on: everywhere,
    async run(c) {
      const ride = await offeredRide(c.scope, c.place);
      const driver = await join(c, ride.driver.token);
      const accept = { offer_id: ride.offerId, trip_id: ride.id, accept: true };
      refused(await driver.ask({ offer_reply: { ...accept, offer_id: '' } }), 'RIDE_INVALID_INPUT', 'offer_id');
      refused(await driver.ask({ offer_reply: { ...accept, trip_id: '' } }), 'RIDE_INVALID_INPUT', 'trip_id');
      const long = 'x'.repeat(201);
      refused(
        await driver.ask({ offer_reply: { ...accept, accept: false, reason: long } }),
        'RIDE_INVALID_INPUT',
        'reason',
      );
      const stranger = await join(c, (await member(c.place, 'driver')).token);
      assert.ok((await stranger.ask({ offer_reply: accept })).error, 'it was made to one driver');
      for (let n = 0; n < 2; n++) acked(await driver.ask({ offer_reply: accept }));
      refused(await stranger.ask({ offer_reply: accept }), 'RIDE_OFFER_CLOSED');
      const rider = await join(c, ride.rider.token);
      refused(await rider.ask({ offer_reply: accept }), 'RIDE_FORBIDDEN', 'offer_reply');
    },
  },
  {
    title: 'offer_reply: who was too slow is told who was faster, and at which version; a stranger is not',
    on: everywhere,
    async run(c) {
      const ride = await offeredRide(c.scope, c.place);
      const driver = await join(c, ride.driver.token);
      const stranger = await join(c, (await member(c.place, 'driver')).token);
      const path = `/api/v1/trips/${ride.id}/cancel`;
      const { body } = await c.place.rest('POST', path, ride.rider.token);
      const accept = { offer_id: ride.offerId, trip_id: ride.id, accept: true };
      const standing = { status: 'cancelled', version: `${body.version}` };
      const winner = { winner_role: 'rider', winner_event: 'cancelled', winner_version: `${body.version}` };
      const { facts } = refused(await driver.ask({ offer_reply: accept }), 'RIDE_OFFER_CLOSED');
      assert.deepEqual({ ...facts }, { ...standing, ...winner, cancelled_by: 'rider' });
      const late = refused(await stranger.ask({ offer_reply: accept }), 'RIDE_OFFER_CLOSED');
      assert.deepEqual({ ...late.facts }, standing);
    },
  },
  {
    title: 'offer_reply: what was declined is closed',
    on: everywhere,
    async run(c) {
      const ride = await offeredRide(c.scope, c.place);
      const driver = await join(c, ride.driver.token);
      const decline = { offer_id: ride.offerId, trip_id: ride.id, accept: false, reason: 'too far' };
      acked(await driver.ask({ offer_reply: decline }));
      refused(await driver.ask({ offer_reply: { ...decline, accept: true } }), 'RIDE_OFFER_CLOSED');
      acked(await driver.ask({ ride_status: { status: 'STATUS_OFFLINE' } }));
    },
  },
  {
    title: 'chat_send: the other side gets it once, a repeat is the same message, strangers have no say',
    on: everywhere,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const [rider, driver] = [await join(c, ride.rider.token), await join(c, ride.driver.token)];
      const topic = `trip:${ride.id}`;
      followed(await driver.ask({ subscribe: { topic } }));
      const chat_send = { trip_id: ride.id, message_id: 'm1', text: 'North gate ✓ \n🚕' };
      const ids = [acked(await rider.ask({ chat_send })).id, acked(await rider.ask({ chat_send })).id];
      assert.equal(ids[0], ids[1]);
      acked(await rider.ask({ chat_send: { ...chat_send, message_id: 'm2', text: 'x'.repeat(2000) } }));
      await driver.inbox.find((m) => m.chat_message?.message_id === 'm2', 'the second');
      const got = driver.inbox.all.filter((m) => m.chat_message?.message_id === 'm1');
      assert.equal(got.length, 1);
      const { text, sender_id, sender_role } = got[0]!.chat_message;
      assert.deepEqual([text, sender_id, sender_role], [chat_send.text, ride.rider.id, 'rider']);
      for (const text of ['', 'x'.repeat(2001)])
        refused(await rider.ask({ chat_send: { ...chat_send, message_id: 'm3', text } }), 'RIDE_INVALID_INPUT', 'text');
      const stranger = await join(c, (await member(c.place, 'rider')).token);
      refused(await stranger.ask({ chat_send }), 'RIDE_FORBIDDEN');
    },
  },
  {
    title: 'typing: the other side is told',
    on: everywhere,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const [rider, driver] = [await join(c, ride.rider.token), await join(c, ride.driver.token)];
      followed(await rider.ask({ subscribe: { topic: `trip:${ride.id}` } }));
      acked(await driver.ask({ typing: { trip_id: ride.id, active: true } }));
      const { typing_notice } = await rider.next((m) => m.typing_notice, 'the notice');
      assert.deepEqual([typing_notice.user_id, typing_notice.active], [ride.driver.id, true]);
      const stranger = await join(c, (await member(c.place, 'rider')).token);
      refused(await stranger.ask({ typing: { trip_id: ride.id, active: true } }), 'RIDE_FORBIDDEN');
    },
  },
  {
    title:
      'chat_send and typing of a booking: its passenger and the driver, on its topic and on that of who is not there',
    on: everywhere,
    async run(c) {
      const { id, driver, passenger } = await bookedDeparture(c.place);
      const topic = `booking:${id}`;
      const hers = await join(c, passenger.token);
      followed(await hers.ask({ subscribe: { topic } }));
      const chat_send = { booking_id: id, message_id: 'm1', text: 'Is there room for a suitcase?' };
      const ids = [acked(await hers.ask({ chat_send })).id, acked(await hers.ask({ chat_send })).id];
      assert.equal(ids[0], ids[1]);
      await hers.next((m) => m.chat_message && m.topic === topic, 'her own');
      const his = await join(c, driver.token);
      const waited = await his.next((m) => m.chat_message && m.topic === `user:${driver.id}`, 'what waited for him');
      assert.deepEqual([waited.chat_message.booking_id, waited.chat_message.sender_id], [id, passenger.id]);
      acked(await his.ask({ typing: { booking_id: id, active: true } }));
      assert.equal((await hers.next((m) => m.typing_notice, 'the notice')).typing_notice.booking_id, id);
      followed(await his.ask({ subscribe: { topic: `presence:${passenger.id}` } }));
      const stranger = await join(c, (await member(c.place, 'rider')).token);
      for (const message of [{ chat_send }, { typing: { booking_id: id, active: true } }])
        refused(await stranger.ask(message), 'RIDE_FORBIDDEN', 'booking_id');
      for (const name of [topic, `presence:${driver.id}`])
        refused(await stranger.ask({ subscribe: { topic: name } }), 'RIDE_FORBIDDEN', 'topic');
      const both = { chat_send: { ...chat_send, trip_id: 'trip_x' } };
      refused(await hers.ask(both), 'RIDE_INVALID_INPUT', 'booking_id');
    },
  },
  {
    title: 'sos_trigger: one alert, into which repeats fold, told to operators',
    on: everywhere,
    async run(c) {
      if (!c.place.alarms) throw new Skipped('raises an alert: only with --alarms');
      const operator = await join(c, (await member(c.place, 'dispatcher')).token);
      followed(await operator.ask({ subscribe: { topic: 'sos:alerts' } }));
      const rider = await member(c.place, 'rider');
      const peer = await join(c, rider.token);
      const recorded_at_ms = Number(peer.welcome.server_time_ms) - 2000;
      const sos_trigger = { ...somewhere(), note: 'conformance test', accuracy_m: 12, recorded_at_ms };
      const { id } = acked(await peer.ask({ sos_trigger }));
      assert.equal(acked(await peer.ask({ sos_trigger })).id, id);
      const { sos_alert } = await operator.inbox.find((m) => m.sos_alert?.alert_id === id, 'the alert');
      assert.equal(sos_alert.user_id, rider.id);
      trusted(sos_alert, { recorded_at_ms, accuracy_m: 12, source: 'stream' });
      refused(await peer.ask({ sos_trigger: { lat: 1 } }), 'RIDE_INVALID_INPUT', 'lng');
    },
  },
  {
    title: 'check_in_reply: all is well only where it was asked, strangers have no say',
    on: everywhere,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const [rider, driver] = [await join(c, ride.rider.token), await join(c, ride.driver.token)];
      const check_in_reply = { trip_id: ride.id, round: 1, is_safe: true };
      for (const peer of [rider, driver]) refused(await peer.ask({ check_in_reply }), 'RIDE_NOT_FOUND', 'trip_id');
      refused(await rider.ask({ check_in_reply: { is_safe: true } }), 'RIDE_INVALID_INPUT', 'trip_id');
      const stranger = await join(c, (await member(c.place, 'rider')).token);
      refused(await stranger.ask({ check_in_reply: { ...check_in_reply, is_safe: false } }), 'RIDE_FORBIDDEN');
      const operator = await join(c, (await member(c.place, 'dispatcher')).token);
      refused(await operator.ask({ check_in_reply }), 'RIDE_FORBIDDEN', 'check_in_reply');
    },
  },
  {
    title: 'check_in_reply: who asks for help raises an SOS, also when nothing was asked',
    on: json,
    async run(c) {
      if (!c.place.alarms) throw new Skipped('raises an alert: only with --alarms');
      const operator = await join(c, (await member(c.place, 'dispatcher')).token);
      followed(await operator.ask({ subscribe: { topic: 'sos:alerts' } }));
      const ride = await assignedRide(c.scope, c.place);
      const rider = await join(c, ride.rider.token);
      assert.equal(acked(await rider.ask({ check_in_reply: { trip_id: ride.id, is_safe: false } })).id, ride.id);
      const { sos_alert } = await operator.inbox.find((m) => m.sos_alert?.trip_id === ride.id, 'the alert');
      assert.equal(sos_alert.user_id, ride.rider.id);
      const { check_in } = await rider.inbox.find((m) => m.check_in?.type === 'escalated', 'word of it');
      assert.equal(check_in.trip_id, ride.id);
    },
  },
  {
    title: 'received: takes what was sent and nothing beyond',
    on: everywhere,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const peer = await join(c, ride.rider.token);
      const topic = `trip:${ride.id}`;
      const { offset, epoch } = followed(await peer.ask({ subscribe: { topic, since_offset: 0 } }));
      acked(await peer.ask({ received: { topic, offset, epoch } }));
      acked(await peer.ask({ received: { event_id: 'any' } }));
      const beyond = Number(offset) + 1;
      refused(await peer.ask({ received: { topic, offset: beyond, epoch } }), 'RIDE_INVALID_INPUT', 'offset');
      refused(await peer.ask({ received: { topic: 'trip:other', offset: 1 } }), 'RIDE_INVALID_INPUT', 'topic');
      refused(await peer.ask({ received: {} }), 'RIDE_INVALID_INPUT', 'event_id');
    },
  },
  {
    title: 'a location of the trip reaches its followers and the resource before its ack',
    on: everywhere,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const [rider, driver] = [await join(c, ride.rider.token), await join(c, ride.driver.token)];
      followed(await rider.ask({ subscribe: { topic: `trip:${ride.id}` } }));
      const here = { ...north(ride.at, 30), recorded_at_ms: Date.now(), trip_id: ride.id };
      acked(await driver.ask({ location_update: here }));
      const { status, body } = await c.place.rest('GET', `/api/v1/trips/${ride.id}/location`, ride.rider.token);
      assert.deepEqual([status, body.recorded_at_ms], [200, here.recorded_at_ms]);
      const { location } = await rider.inbox.find((m) => m.location, 'the location');
      assert.equal(Number(location.recorded_at_ms), here.recorded_at_ms);
      assert.equal(location.source, 'stream');
      const other = await join(c, (await member(c.place, 'driver')).token);
      assert.ok((await other.ask({ location_update: here })).error, 'a trip that is not his');
    },
  },
];

const freshness: Omit<ProtocolCase, 'section'>[] = [
  {
    title: 'job_offer and match: from which position of the driver they go, and how far that can be trusted',
    on: everywhere,
    async run(c) {
      const at = somewhere();
      const driver = await join(c, (await member(c.place, 'driver')).token);
      const { token } = await member(c.place, 'rider');
      const rider = await join(c, token);
      const recorded_at_ms = Number(driver.welcome.server_time_ms) - 2000;
      acked(await driver.ask({ location_update: { ...at, recorded_at_ms, accuracy_m: 7.5 } }));
      acked(await driver.ask({ ride_status: { status: 'STATUS_LOOKING' } }));
      const trip = await c.place.rest('POST', '/api/v1/trips', token, { pickup: at, dropoff: north(at, 3000) });
      const seen = { recorded_at_ms, accuracy_m: 7.5, source: 'stream' };
      const { job_offer } = await driver.inbox.find((m) => m.job_offer?.trip_id === trip.body.id, 'the offer');
      trusted(job_offer, seen);
      assert.ok(job_offer.pickup_eta_source);
      const accept = { offer_id: job_offer.offer_id, trip_id: trip.body.id, accept: true };
      acked(await driver.ask({ offer_reply: accept }));
      const { match } = await rider.inbox.find((m) => m.match, 'the match');
      trusted(match, seen);
      assert.ok(match.eta_source && Number(match.age_ms) >= Number(job_offer.age_ms), 'it has grown older since');
    },
  },
];

export const messageCases: ProtocolCase[] = [...section(SECTION, cases), ...section('Freshness', freshness)];
