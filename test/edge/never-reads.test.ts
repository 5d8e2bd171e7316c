/**
 * A million messages at clients that never read, one on each transport: what waits for them stays within their buffers, counted
 * down to the sockets and HTTP/2 streams of this process, and the process does not grow.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Redis } from 'ioredis';
import t from 'tap';
import { openEvents } from '../clients/events.ts';
import { readMetrics, sum } from '../clients/metrics.ts';
import { connect, encodeServer, transports } from '../clients/peer.ts';
import { build } from '../helper.ts';
import { assignedRide } from '../scene.ts';

setFlagsFromString('--expose-gc');
const gc: () => void = runInNewContext('gc');

const sockets = new Set<Socket>();
const streams = new Set<ServerHttp2Stream>();
subscribe('net.server.socket', (message) => void sockets.add((message as { socket: Socket }).socket));
subscribe('http2.server.stream.created', (message) => {
  streams.add((message as { stream: ServerHttp2Stream }).stream);
});

const BUFFER = { messages: 256, bytes: 131_072 };
const s = await build(t, {
  env: {
    OUTBOUND_BUFFER: String(BUFFER.messages),
    OUTBOUND_BUFFER_BYTES: String(BUFFER.bytes),
    // They never speak either: this test is not about silence.
    HEARTBEAT_TIMEOUT: '1h',
  },
});
const redis = new Redis(s.redisUrl);
t.after(() => redis.disconnect());

const READERS = transports.length + 1;
const TOTAL = 1_000_000;
/** Less than what Redis keeps for a subscriber that is behind. */
const CHUNK = 10_000;
/** Of one peer: Node's own buffer of a socket or stream, what one turn may bring before it shows, and the same of HTTP/2. */
const HELD_BY_NODE = 4 << 20;

const dropped = async (reason: string): Promise<number> =>
  sum(await readMetrics(s.at.metrics), 'ride_stream_dropped_total', { reason });
const depth = async (): Promise<number> => sum(await readMetrics(s.at.metrics), 'ride_stream_queue_depth');

/** Bytes that wait in this process for peers of the server. */
function waiting(): number {
  let bytes = 0;
  for (const socket of sockets) if (!socket.destroyed) bytes += socket.writableLength;
  for (const stream of streams) if (!stream.destroyed) bytes += stream.writableLength;
  return bytes;
}

/** Bytes that this process really holds. */
function used(): number {
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

t.test('a million messages', async (t) => {
  const ride = await assignedRide(t, s);
  const topic = `trip:${ride.id}`;
  for (const transport of transports) {
    const peer = await connect(t, s.at, transport, ride.rider.token);
    await peer.ask({ subscribe: { topic } });
    peer.pause();
  }
  // One that reads: what is sent to him behind the others' messages has come when they have.
  const witness = await connect(t, s.at, 'websocket-protobuf', ride.driver.token);
  const own = `user:${ride.driver.id}`;
  const headers = { authorization: `Bearer ${ride.rider.token}` };
  const events = await openEvents(t, s.at.http, `/api/v1/trips/${ride.id}/events/stream`, headers);
  await events.next((m) => m.subscribed);
  events.pause();

  // Every second one is conflated, the others give way to what is newer.
  const wrap = (message: object) => Buffer.concat([Buffer.from('\n'), encodeServer({ topic, ...message })]);
  const location = wrap({
    location: { driver_id: 'd1', trip_id: ride.id, recorded_at_ms: 1, source: 'x'.repeat(150) },
  });
  const typing = wrap({ typing_notice: { trip_id: ride.id, user_id: 'x'.repeat(200), active: true } });
  const script = `for i = 1, ${CHUNK / 2} do redis.call('PUBLISH', KEYS[1], ARGV[1]) redis.call('PUBLISH', KEYS[1], ARGV[2]) end`;
  let most = { waiting: 0, depth: 0, early: 0, late: 0 };
  for (let sent = CHUNK; sent <= TOTAL; sent += CHUNK) {
    await redis.eval(script, 1, topic, location, typing);
    const mark = encodeServer({ topic: own, event_id: `${sent}`, typing_notice: { trip_id: ride.id } });
    await redis.publish(own, Buffer.concat([Buffer.from('\n'), mark]));
    await witness.next((m) => m.event_id === `${sent}`, `${sent} messages to arrive`);
    most = { ...most, waiting: Math.max(most.waiting, waiting()), depth: Math.max(most.depth, await depth()) };
    // By then everyone is known not to read.
    if (sent === TOTAL / 5) most.early = used();
  }
  most.late = used();
  t.comment(most);
  t.ok((await dropped('latest')) > READERS * TOTAL * 0.4, 'conflated');
  t.ok((await dropped('ephemeral')) > READERS * TOTAL * 0.4, 'dropped');
  t.ok(
    most.depth <= READERS * (BUFFER.messages + 1),
    `at most the buffers' messages and the newest wait: ${most.depth}`,
  );
  t.ok(most.waiting > 0 && most.waiting < READERS * HELD_BY_NODE, `${most.waiting} bytes in sockets and streams`);
  const grown = most.late - most.early;
  t.ok(grown < 8 << 20, `after ${TOTAL / 5} messages the process grew by ${grown} bytes`);
  t.equal(await dropped('slow_reader'), 0, 'and nobody was sent away');
});
t.end();
