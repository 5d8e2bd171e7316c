/** Listeners by server-sent events that do not read: bounded memory, the newest position, an honest end and a whole resume. */
import t from 'tap';
import { type EventClient, openEvents } from '../clients/events.ts';
import { publisherOn } from '../clients/publisher.ts';
import { build, type TestScope, type TestServer } from '../helper.ts';
import { assignedRide, type Ride } from '../scene.ts';
import { until } from '../until.ts';

const BUFFER = 16;

async function metric(s: TestServer, line: RegExp): Promise<number> {
  const text = await (await fetch(`http://${s.at.metrics}/metrics`)).text();
  return Number(line.exec(text)?.[1] ?? 0);
}
const dropped = (s: TestServer, reason: string) =>
  metric(s, new RegExp(`ride_stream_dropped_total\\{reason="${reason}"\\} (\\d+)`));
const depth = (s: TestServer) => metric(s, /^ride_stream_queue_depth (\d+)/m);

const numbersOf = (events: EventClient): number[] =>
  events.inbox.all.filter((m) => m.chat_message).map((m) => Number(m.chat_message.message_id));

function open(t: TestScope, s: TestServer, ride: Ride, lastEventId?: string): Promise<EventClient> {
  return openEvents(t, s.at.http, `/api/v1/trips/${ride.id}/events/stream`, {
    authorization: `Bearer ${ride.rider.token}`,
    ...(lastEventId ? { 'last-event-id': lastEventId } : {}),
  });
}

async function follow(t: TestScope, s: TestServer, ride: Ride): Promise<EventClient> {
  const events = await open(t, s, ride);
  await events.next((m) => m.subscribed);
  return events;
}

t.test('positions for a reader that sleeps are conflated: it wakes up to the newest', async (t) => {
  const s = await build(t, { env: { OUTBOUND_BUFFER: String(BUFFER) } });
  const ride = await assignedRide(t, s);
  const publisher = publisherOn(t, s.redisUrl);
  const events = await follow(t, s, ride);
  events.pause();
  let sent = 0;
  const position = () => ({
    driverId: ride.driver.id,
    tripId: ride.id,
    lat: 1,
    lng: 2,
    recordedAt: ++sent,
    vehicleClass: 'standard' as const,
    city: 'testville',
    source: 'x'.repeat(8000),
  });
  await until(async () => {
    for (let i = 0; i < 200; i++) {
      publisher.publishLatest(`trip:${ride.id}`, 'location', { position: position(), ageMs: 0, stale: false });
    }
    t.ok((await depth(s)) <= BUFFER, 'never more than the buffer waits');
    return (await dropped(s, 'latest')) > 2000;
  }, 'two thousand conflated positions');
  t.equal(await depth(s), 1, 'one position waits');
  events.resume();
  await events.next((m) => m.location?.recorded_at_ms === String(sent), 'the newest position');
  const got = events.inbox.all.filter((m) => m.location).length;
  t.ok(got < sent, `${got} of ${sent} were told`);
  t.equal(await dropped(s, 'slow_reader'), 0);
});

t.test('a reader that sleeps through ordered messages is cut off, and resumes without a loss', async (t) => {
  const s = await build(t, { env: { OUTBOUND_BUFFER: String(BUFFER), HISTORY_LENGTH: '100000' } });
  const ride = await assignedRide(t, s);
  const publisher = publisherOn(t, s.redisUrl, 100_000);
  const events = await follow(t, s, ride);
  events.pause();
  let sent = 0;
  const say = () => {
    const message = { tripId: ride.id, messageId: String(++sent), senderId: 'd', senderRole: 'driver' as const, at: 1 };
    return publisher.publishOrdered(
      `trip:${ride.id}`,
      'chat_message',
      { ...message, text: 'x'.repeat(8000) },
      `evt_${sent}`,
    );
  };
  await until(async () => {
    await Promise.all(Array.from({ length: 100 }, say));
    return (await dropped(s, 'slow_reader')) === 1;
  }, 'the slow reader to be cut off');
  events.resume();
  await events.ended;
  const got = numbersOf(events);
  t.ok(got.length < sent, `${got.length} of ${sent} came`);
  // What was missed may be more than the buffer takes: then the server ends the stream once more, further on.
  let lastEventId = events.lastEventId();
  while (got.length < sent) {
    const again = await open(t, s, ride, lastEventId);
    await Promise.race([again.ended, again.next((m) => m.subscribed, 'subscribed').catch(() => {})]);
    const more = numbersOf(again);
    if (!t.ok(more.length > 0, `${more.length} more after ${lastEventId}`)) break;
    got.push(...more);
    lastEventId = again.lastEventId();
    again.close();
  }
  t.same(
    got,
    Array.from({ length: sent }, (_, index) => index + 1),
    'each message once, in order',
  );
});
