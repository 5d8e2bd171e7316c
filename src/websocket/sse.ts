/**
 * Server-sent events (WHATWG HTML section 9.2): a session that only listens, for clients that have neither WebSocket nor gRPC.
 * It is a session like any other: the same feeds and offsets, the same outbound ring, the same delivery classes.
 *
 * An event is named after its message (`trip_event`, `location`, `chat_message`, …) and carries the payload as protobuf JSON.
 * An ordered one has the id `<epoch>:<offset>`, which EventSource gives back as Last-Event-ID. `subscribed` says that nothing
 * is missing up to its id, `gap` that something is: the trip's last event follows without an id, as its state.
 */
import type { ServerResponse } from 'node:http';
import { toJson } from '@bufbuild/protobuf';
import type { Principal } from '../domain/roles.ts';
import { type ErrorCode, errorCodes } from '../errors.ts';
import type { TopicPosition as Position } from '../ports/bus.ts';
import { hashOf } from '../realtime/broker.ts';
import type { Frame, Outgoing } from '../realtime/frame.ts';
import type { Gateway } from '../realtime/gateway.ts';
import { type ServerEnvelope, ServerEnvelopeSchema } from '../realtime/generated/ride/v1/ride_pb.js';
import type { Transport } from '../realtime/transport.ts';

const KEEP_ALIVE = Buffer.from(':\n\n');
/** A client whose connection broke comes back after this and up to as much again, each at its own moment. */
const RETRY_MS = 1000;
/** How long a peer may take to read what is left. */
const CLOSE_TIMEOUT_MS = 10_000;

/** The place that an event's id names: `<epoch>:<offset>`. */
function positionOf(id: string): Position {
  const colon = id.lastIndexOf(':');
  return { epoch: id.slice(0, colon), offset: Number(id.slice(colon + 1)) };
}

function encode(frame: Frame, envelope: ServerEnvelope): Buffer {
  const { payload } = envelope;
  const json = toJson(ServerEnvelopeSchema, envelope, { useProtoFieldName: true }) as Record<string, unknown>;
  const lines: string[] = [];
  // Of one that is broken only the place is known: without data an event is none, and its id counts.
  if (payload.case === undefined) return Buffer.from(frame.offset > 0 ? `id: ${frame.epoch}:${frame.offset}\n\n` : '');
  let event = frame.kind;
  if (frame.offset > 0) lines.push(`id: ${frame.epoch}:${frame.offset}`);
  else if (payload.case === 'subscribed') {
    if (!payload.value.recovered) event = 'gap';
    lines.push(`id: ${payload.value.epoch}:${payload.value.offset}`);
  } else if (payload.case === 'goAway') lines.push(`retry: ${payload.value.reconnectAfterMs}`);
  return Buffer.from(
    `event: ${event}\n${lines.map((line) => `${line}\n`).join('')}data: ${JSON.stringify(json[frame.kind])}\n\n`,
  );
}

/** Encoded once for all who read them here, as long as the frame lives. */
const encoded = new WeakMap<Frame, Buffer>();

function bytesOf(frame: Frame): Buffer {
  let bytes = encoded.get(frame);
  if (!bytes) {
    bytes = frame.decode((envelope) => encode(frame, envelope));
    encoded.set(frame, bytes);
  }
  return bytes;
}

class SseTransport implements Transport {
  readonly #response: ServerResponse;
  /** The peer took something since it was asked last. */
  #moved = false;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  write({ frames }: Outgoing): void {
    if (this.#response.writableEnded) return;
    this.#response.write(frames.length === 1 ? bytesOf(frames[0]!) : Buffer.concat(frames.map(bytesOf)));
  }

  cork(): void {
    this.#response.cork();
  }

  uncork(): void {
    this.#response.uncork();
  }

  blocked(): boolean {
    return this.#response.writableNeedDrain;
  }

  onDrain(listener: () => void): void {
    this.#response.once('drain', () => {
      this.#moved = true;
      listener();
    });
  }

  /** Nothing is read of such a peer. */
  pauseReading(): void {}

  resumeReading(): void {}

  keepAlive(): boolean {
    const moved = this.#moved;
    this.#moved = false;
    if (this.#response.writableEnded) return false;
    if (this.#response.writableNeedDrain) return moved;
    this.#response.write(KEEP_ALIVE);
    return true;
  }

  close(code: ErrorCode, reason: string): void {
    const response = this.#response;
    const { retryable } = errorCodes[code];
    response.end(`event: closed\ndata: ${JSON.stringify({ code, message: reason, retryable })}\n\n`);
    // What was written may wait for a peer that does not read; it does not wait for ever.
    const timer = setTimeout(() => response.destroy(), CLOSE_TIMEOUT_MS);
    response.once('close', () => clearTimeout(timer));
  }
}

/**
 * Turns a response, whose head is not sent yet, into a session that follows `topic`, which the caller may.
 * @param headers of the answer, besides those of an event stream
 * @param since id of the last event that the peer has, `<epoch>:<offset>`
 * @throws RideError RIDE_TOO_MANY_SESSIONS, RIDE_DRAINING, before anything is sent
 */
export function openEventStream(
  gateway: Gateway,
  principal: Principal,
  response: ServerResponse,
  headers: Record<string, number | string | string[] | undefined>,
  topic: string,
  since: string | undefined,
): void {
  const position = since === undefined ? undefined : positionOf(since);
  const listener = gateway.follow(principal, 'sse', new SseTransport(response), topic, position);
  response.on('close', () => listener.gone());
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) response.setHeader(name, value);
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    // Proxies of nginx's kind would collect what has to go out at once.
    'x-accel-buffering': 'no',
    // The connection ends with the stream.
    connection: 'close',
  });
  response.write(`retry: ${RETRY_MS + (hashOf(listener.session.id) % RETRY_MS)}\n\n`);
}
