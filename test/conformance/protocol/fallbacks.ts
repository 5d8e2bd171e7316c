/** Where no stream can be had: server-sent events and polling. Without a transport of their own, they run once. */
import assert from 'node:assert/strict';
import { type EventClient, openEvents } from '../../clients/events.ts';
import { assignedRide, member, north, type Ride } from '../../scene.ts';
import { acked, type Context, json, type ProtocolCase, section } from './case.ts';

const pathOf = (ride: Ride, query = ''): string => `/api/v1/trips/${ride.id}/events/stream${query}`;

function listen({ scope, place }: Context, ride: Ride, query = '', headers = {}): Promise<EventClient> {
  const authorization = `Bearer ${ride.rider.token}`;
  return openEvents(scope, place.at.http, pathOf(ride, query), { authorization, ...headers });
}

const typesOf = ({ inbox }: EventClient): string[] =>
  inbox.all.filter((m) => m.trip_event).map((m) => m.trip_event.type);

const cases: Omit<ProtocolCase, 'section'>[] = [
  {
    title: 'a trip as events: from its beginning, then live, each ordered one with its place as id',
    on: json,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const events = await listen(c, ride, '?since=:0');
      assert.equal(events.status, 200);
      assert.match(String(events.headers['content-type']), /^text\/event-stream/);
      const { subscribed, id } = await events.next((m) => m.subscribed, 'subscribed');
      assert.deepEqual([subscribed.recovered, subscribed.replayed], [true, 3]);
      assert.deepEqual(typesOf(events), ['requested', 'offered', 'assigned']);
      const ids = events.inbox.all.filter((m) => m.trip_event).map((m) => m.id);
      assert.deepEqual(
        ids,
        [1, 2, 3].map((offset) => `${subscribed.epoch}:${offset}`),
      );
      assert.equal(id, ids[2], 'where the client now is');
      const chat_send = { trip_id: ride.id, message_id: 'm1', text: 'line one\nline two ✓' };
      acked(await ride.driver.peer.ask({ chat_send }));
      const chat = await events.next((m) => m.chat_message, 'chat');
      assert.deepEqual([chat.chat_message.text, chat.id], [chat_send.text, `${subscribed.epoch}:4`]);
      const here = { ...north(ride.at, 20), recorded_at_ms: Date.now(), trip_id: ride.id };
      acked(await ride.driver.peer.ask({ location_update: here }));
      const location = await events.inbox.find((m) => Number(m.location?.recorded_at_ms) === here.recorded_at_ms);
      assert.ok(!('id' in location), 'what has no place has no id');
    },
  },
  {
    title: 'Last-Event-ID resumes: nothing missed, nothing twice; it wins over since',
    on: json,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const first = await listen(c, ride);
      await first.next((m) => m.subscribed, 'subscribed');
      assert.deepEqual(typesOf(first), []);
      first.close();
      await ride.step('arrive');
      await ride.driver.peer.inbox.find((m) => m.trip_event?.type === 'driver_arrived', 'the event');
      const again = await listen(c, ride, '?since=other:1', { 'last-event-id': first.lastEventId() });
      const { subscribed } = await again.next((m) => m.subscribed, 'subscribed');
      assert.deepEqual([subscribed.recovered, subscribed.replayed], [true, 1]);
      await ride.step('start');
      await again.next((m) => m.trip_event?.type === 'started', 'what is live');
      assert.deepEqual(typesOf(again), ['driver_arrived', 'started']);
    },
  },
  {
    title: 'a place that is not known is a gap, in place of subscribed, and the state of the trip follows',
    on: json,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const events = await listen(c, ride, '?since=another:1');
      const { gap, id } = await events.next((m) => m.gap, 'gap');
      assert.ok(!gap.recovered);
      const state = await events.next((m) => m.trip_event, 'how it stands');
      assert.deepEqual([state.trip_event.type, Number(state.trip_event.seq)], ['assigned', 3]);
      assert.ok(!('id' in state), 'it is no part of what was missed');
      await ride.step('arrive');
      const live = await events.next((m) => m.trip_event, 'what is live');
      assert.deepEqual(live.id, `${id.split(':')[0]}:4`, 'from the place of the gap on');
    },
  },
  {
    title: 'a token in the query does; strangers and bad places are refused before the stream begins',
    on: json,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const open = (query: string, headers: Record<string, string> = {}) =>
        openEvents(c.scope, c.place.at.http, pathOf(ride, query), headers);
      assert.ok((await (await open(`?access_token=${ride.driver.token}`)).next((m) => m.subscribed)).subscribed);
      const refusals: [number, string, EventClient][] = [
        [401, 'RIDE_UNAUTHENTICATED', await open('')],
        [403, 'RIDE_FORBIDDEN', await open(`?access_token=${(await member(c.place, 'rider')).token}`)],
        [400, 'RIDE_INVALID_INPUT', await open(`?access_token=${ride.rider.token}`, { 'last-event-id': 'x' })],
      ];
      for (const [status, code, answer] of refusals) {
        assert.equal(answer.status, status);
        assert.equal((await answer.problem()).code, code);
      }
    },
  },
  {
    title: 'polling: an ETag that matches costs no body, a new location has another one',
    on: json,
    async run(c) {
      const ride = await assignedRide(c.scope, c.place);
      const tell = async (metres: number) => {
        const here = { ...north(ride.at, metres), recorded_at_ms: Date.now(), trip_id: ride.id };
        acked(await ride.driver.peer.ask({ location_update: here }));
      };
      const read = (headers: Record<string, string> = {}) =>
        c.place.rest('GET', `/api/v1/trips/${ride.id}/location`, ride.rider.token, undefined, headers);
      await tell(10);
      const first = await read();
      assert.equal(first.status, 200);
      const etag = first.headers.get('etag');
      assert.ok(etag);
      const same = await read({ 'if-none-match': etag });
      assert.deepEqual([same.status, same.body], [304, '']);
      await tell(60);
      const moved = await read({ 'if-none-match': etag });
      assert.equal(moved.status, 200);
      assert.notEqual(moved.headers.get('etag'), etag);
      assert.notEqual(moved.body.lat, first.body.lat);
    },
  },
];

export const fallbackCases: ProtocolCase[] = section('Where no stream can be had', cases);
