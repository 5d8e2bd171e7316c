/**
 * The gRPC server beside Fastify, in the same process: ride.v1.RideStreamService, server reflection and the standard health
 * service. Messages pass this layer as bytes: what the broker encoded once is written as it is, and a message that cannot be
 * decoded becomes a typed error instead of the end of the stream.
 */
import { readFile } from 'node:fs/promises';
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceDefinition,
  type status,
} from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import type { Principal } from '../domain/roles.ts';
import { asRideError, type ErrorCode, errorCodes, type RideError } from '../errors.ts';
import type { Door } from '../realtime/door.ts';
import type { Frame, Outgoing } from '../realtime/frame.ts';
import type { Gateway } from '../realtime/gateway.ts';
import type { Transport } from '../realtime/transport.ts';
import { reflectedServices } from './descriptors.ts';
import { type GrpcListen, listenForGrpc } from './listener.ts';

export interface GrpcOptions {
  listen: GrpcListen;
  gateway: Gateway;
  door: Door;
  verifyToken(token: string | undefined): Principal;
  maxPayloadBytes: number;
  /** PEM files; TLS with a certificate, mutual TLS with a client CA too. */
  tls?: { certFile: string; keyFile: string; clientCaFile?: string };
}

export interface GrpcServer {
  /** The port that is listened on. */
  port: number;
  /** Takes no connection from now on. */
  stopListening(): void;
  /** Health turns to NOT_SERVING; streams go on. */
  drain(): void;
  /** Resolves when every connection has ended; one that does not end by itself is cut. */
  close(): Promise<void>;
}

const SERVICE = 'ride.v1.RideStreamService';
/** A message a little over the limit gets a typed error; one far over it ends the stream. */
const HARD_LIMIT_FACTOR = 4;
/** The last statuses travel within this; then what is left is cut off. */
const CLOSE_TIMEOUT_MS = 1000;

const service: ServiceDefinition = {
  Connect: {
    path: `/${SERVICE}/Connect`,
    requestStream: true,
    responseStream: true,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (frame: Frame) => frame.binary,
    responseDeserialize: (bytes: Buffer) => bytes,
  },
};

type Call = ServerDuplexStream<Buffer, Frame>;

type Refusal = Pick<RideError, 'code' | 'message'> & Partial<Pick<RideError, 'field' | 'rule' | 'retryAfterMs'>>;

/** Trailers `ride-code`, `ride-field`, `ride-rule`, `ride-retry-after-ms`: what the problem document says on REST. */
function statusOf(error: Refusal): { code: status; details: string; metadata: Metadata } {
  const metadata = new Metadata();
  const set = (name: string, value: string | number | undefined): void => {
    // A trailer holds printable ASCII only.
    if (value !== undefined) metadata.set(`ride-${name}`, String(value).replace(/[^\x20-\x7e]/g, '?'));
  };
  set('code', error.code);
  set('field', error.field);
  set('rule', error.rule);
  set('retry-after-ms', error.retryAfterMs);
  // What gRPC's own retries heed (gRPC proposal A6).
  if (error.retryAfterMs !== undefined) metadata.set('grpc-retry-pushback-ms', String(error.retryAfterMs));
  return { code: errorCodes[error.code].grpc as status, details: error.message, metadata };
}

class GrpcTransport implements Transport {
  readonly #call: Call;

  constructor(call: Call) {
    this.#call = call;
  }

  write(outgoing: Outgoing): void {
    if (this.#call.cancelled || this.#call.destroyed) return;
    for (const frame of outgoing.frames) this.#call.write(frame);
  }

  /** HTTP/2 joins what is written within a turn by itself. */
  cork(): void {}

  uncork(): void {}

  blocked(): boolean {
    return this.#call.writableNeedDrain;
  }

  onDrain(listener: () => void): void {
    this.#call.once('drain', listener);
  }

  pauseReading(): void {
    this.#call.pause();
  }

  resumeReading(): void {
    this.#call.resume();
  }

  close(code: ErrorCode, reason: string): void {
    this.#call.emit('error', statusOf({ code, message: reason }));
  }
}

function bearerOf(metadata: Metadata): string | undefined {
  const [value] = metadata.get('authorization');
  return /^Bearer +(\S+)$/i.exec(String(value ?? ''))?.[1];
}

/** `127.0.0.1:50123`, `[::1]:50123`, or `ipv4:127.0.0.1:50123` → the address. */
function hostOf(peer: string): string {
  return peer.replace(/^ipv[46]:/, '').replace(/:\d+$/, '');
}

function connect(call: Call, options: GrpcOptions): void {
  try {
    options.door.knock(hostOf(call.getPeer()));
    const principal = options.verifyToken(bearerOf(call.metadata));
    const connection = options.gateway.accept(principal, 'grpc', new GrpcTransport(call));
    call.on('data', (bytes: Buffer) => connection.binary(bytes));
    // A client that has said all still gets its answers.
    call.on('end', () => void connection.finish().then(() => call.end()));
    call.on('cancelled', () => connection.gone());
    call.on('close', () => connection.gone());
  } catch (thrown) {
    call.emit('error', statusOf(asRideError(thrown)));
  }
}

async function credentials(tls: GrpcOptions['tls']): Promise<ServerCredentials> {
  if (!tls) return ServerCredentials.createInsecure();
  const [cert, key, ca] = await Promise.all([
    readFile(tls.certFile),
    readFile(tls.keyFile),
    tls.clientCaFile ? readFile(tls.clientCaFile) : null,
  ]);
  return ServerCredentials.createSsl(ca, [{ cert_chain: cert, private_key: key }], ca !== null);
}

export async function startGrpcServer(options: GrpcOptions): Promise<GrpcServer> {
  const server = new Server({
    'grpc.max_receive_message_length': options.maxPayloadBytes * HARD_LIMIT_FACTOR,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.max_concurrent_streams': 10_000,
  });
  server.addService(service, { Connect: (call: Call) => connect(call, options) });
  new ReflectionService(reflectedServices()).addToServer(server);
  const health = new HealthImplementation({ '': 'SERVING', [SERVICE]: 'SERVING' });
  health.addToServer(server);

  const listener = await listenForGrpc(server, await credentials(options.tls), options.listen);
  return {
    port: listener.port,
    stopListening: () => listener.stop(),
    drain() {
      health.setStatus('', 'NOT_SERVING');
      health.setStatus(SERVICE, 'NOT_SERVING');
    },
    close: () =>
      new Promise((resolve) => {
        listener.stop();
        const timer = setTimeout(() => {
          server.forceShutdown();
          resolve();
        }, CLOSE_TIMEOUT_MS);
        server.tryShutdown(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
  };
}
