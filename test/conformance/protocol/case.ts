/**
 * What a case of the protocol's conformance is, and what it may use. A case knows a server by docs/protocol.md alone, so that it
 * holds for any server at any address; what it asserts stands in the section of the page that it names.
 */
import assert from 'node:assert/strict';
import type { Clients, TestScope } from '../../clients/clients.ts';
import type { Message } from '../../clients/inbox.ts';
import {
  connect,
  type Ended,
  keepAlive,
  openGrpc,
  openWebSocket,
  type Peer,
  type TransportName,
  transports,
  UpgradeRefused,
  type WebSocketOptions,
} from '../../clients/peer.ts';

/** Where the suite runs. */
export interface Place extends Clients {
  /** Signs any claims with the server's secret; null when that is not known. */
  sign: ((claims: object) => string) | null;
  /** Alerts may be raised. */
  alarms: boolean;
  /** A server of the suite's own that it may end; null at a foreign address. */
  start: ((scope: TestScope, env: Record<string, string>) => Promise<Clients & { stop(): Promise<void> }>) | null;
}

export interface Context {
  place: Place;
  transport: TransportName;
  /** What is opened ends with the case. */
  scope: TestScope;
}

export interface ProtocolCase {
  /** Heading in docs/protocol.md. */
  section: string;
  title: string;
  /** Runs once over each. */
  on: readonly TransportName[];
  run(context: Context): Promise<void>;
}

/** Thrown by a case that this server or this address gives no occasion for. */
export class Skipped extends Error {}

export const everywhere = transports;
export const webSockets: readonly TransportName[] = ['websocket-json', 'websocket-protobuf'];
export const json: readonly TransportName[] = ['websocket-json'];

/** Cases of one section. */
export const section = (name: string, cases: readonly Omit<ProtocolCase, 'section'>[]): ProtocolCase[] =>
  cases.map((one) => ({ section: name, ...one }));

export interface Session extends Peer {
  welcome: Message;
}

/** A welcomed session that keeps itself alive as the welcome asks for. */
export async function join(
  { place, transport, scope }: Context,
  token: string | undefined,
  options: WebSocketOptions = {},
): Promise<Session> {
  const peer = await connect(scope, place.at, transport, token, options);
  const { welcome } = peer.inbox.all[0]!;
  keepAlive(scope, peer);
  return { ...peer, welcome };
}

/** The same as another transport. */
export const over = (context: Context, transport: TransportName): Context => ({ ...context, transport });

export interface Refusal {
  /** HTTP status, or status of gRPC. */
  status: number;
  code: string;
  field: string | undefined;
  retryAfterMs: number;
}

/** Why a connection is refused, after the form of the refusal was checked. @throws when it is not refused */
export async function refusal(
  { place: { at }, transport }: Context,
  token: string | undefined,
  options: WebSocketOptions = {},
): Promise<Refusal> {
  if (transport === 'grpc') {
    const { code: status, trailers } = await openGrpc(at, token, options.headers).ended;
    assert.ok(trailers['ride-code'], 'the trailers name the code');
    return {
      status,
      code: trailers['ride-code'],
      field: trailers['ride-field'],
      retryAfterMs: Number(trailers['ride-retry-after-ms'] ?? 0),
    };
  }
  try {
    (await openWebSocket(at, transport, token, options)).cut();
  } catch (error) {
    if (!(error instanceof UpgradeRefused)) throw error;
    assert.match(String(error.headers['content-type']), /^application\/problem\+json/, 'a problem document');
    assert.equal(error.body.status, error.status, 'which repeats the status');
    for (const field of ['type', 'title', 'detail', 'code', 'corr_id'])
      assert.equal(typeof error.body[field], 'string', field);
    const { code, field, retry_after_ms: retryAfterMs = 0 } = error.body;
    return { status: error.status, code, field, retryAfterMs };
  }
  throw new Error('it was not refused');
}

/** Statuses of a refusal on either kind of transport. */
export const statusOn = (transport: TransportName, http: number, grpc: number): number =>
  transport === 'grpc' ? grpc : http;

/** Asserts the error envelope of an answer. */
export function refused(answer: Message, code: string, field?: string): Message {
  assert.ok(answer.error, `an error and not ${JSON.stringify(answer)}`);
  assert.equal(answer.error.code, code, answer.error.message);
  assert.ok(answer.error.message, 'it says why');
  if (field !== undefined) assert.equal(answer.error.field, field);
  return answer.error;
}

/** Asserts that a message took effect. */
export function acked(answer: Message): Message {
  assert.ok(answer.ack, `an ack and not ${JSON.stringify(answer)}`);
  return answer.ack;
}

/** Asserts that a topic is followed. */
export function followed(answer: Message): Message {
  assert.ok(answer.subscribed, `subscribed and not ${JSON.stringify(answer)}`);
  return answer.subscribed;
}

/** The session goes on after whatever was before. */
export async function livesOn(peer: Peer): Promise<void> {
  acked(await peer.ask({ heartbeat: {} }));
}

/** Asserts how a session ended: close code, or status of gRPC with its trailer. */
export function endedWith(transport: TransportName, ended: Ended, close: number, grpc: number, code: string): void {
  if (transport === 'grpc') {
    assert.equal(ended.code, grpc, ended.reason);
    assert.equal(ended.trailers['ride-code'], code);
  } else {
    assert.equal(ended.code, close, ended.reason);
    assert.ok(ended.reason.startsWith(code), `the reason begins with the code: ${ended.reason}`);
  }
}

/** Ordered messages of a topic that a session has had, as they came. */
export const orderedOf = (peer: Peer, topic: string): Message[] =>
  peer.inbox.all.filter((m) => m.topic === topic && Number(m.offset ?? 0) > 0);

/** Asserts that offsets count up by one from `from`, in one epoch. */
export function inOrder(messages: readonly Message[], from: number): void {
  assert.deepEqual(
    messages.map((m) => Number(m.offset)),
    messages.map((_, i) => from + i),
    'no gap and no double',
  );
  assert.ok(new Set(messages.map((m) => m.epoch)).size <= 1, 'one epoch');
}

export const GRPC = {
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  unavailable: 14,
  unauthenticated: 16,
} as const;
