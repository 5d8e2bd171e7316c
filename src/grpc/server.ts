/**
 * The gRPC server beside Fastify, in the same process: ride.v1.RideStreamService, server reflection and the standard health
 * service. Messages pass this layer as bytes: what the broker encoded once is written as it is, and a message that cannot be
 * decoded becomes a typed error instead of the end of the stream.
 */
import { readFile } from 'node:fs/promises';
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerInterceptor,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import type { Door } from '../realtime/door.ts';
import type { Gateway } from '../realtime/gateway.ts';
import { bearerOf, type Credentials, type SignIn } from '../realtime/sign-in.ts';
import { insideOf } from './call.ts';
import { reflectedServices } from './descriptors.ts';
import { type GrpcListen, listenForGrpc } from './listener.ts';
import { PacedCall } from './paced.ts';
import { GrpcStream, type Open } from './stream.ts';
import { UnsignedCalls } from './unsigned.ts';
import { ConnectionWindows } from './windows.ts';

export interface GrpcOptions {
  listen: GrpcListen;
  gateway: Gateway;
  door: Door;
  signIn: SignIn;
  maxPayloadBytes: number;
  /** Calls of one connection at once whose caller is not known; more are reset. */
  maxUnsignedCalls: number;
  /** Bytes that the peer of a connection may have on its way, over all streams, from when a caller of it is known. */
  connectionWindow: number;
  /** How long the peer of a stream that has ended may take to read what is left; then it is cut off. */
  closeTimeoutMs?: number;
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
const PATH = `/${SERVICE}/Connect`;
/** A message a little over the limit gets a typed error; one far over it ends the stream. */
const HARD_LIMIT_FACTOR = 4;
/** The last statuses travel within this; then what is left is cut off. */
const CLOSE_TIMEOUT_MS = 1000;

const service: ServiceDefinition = {
  Connect: {
    path: PATH,
    requestStream: true,
    responseStream: true,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  },
};

function credentialsOf(metadata: Metadata): Credentials {
  const first = (name: string): string => String(metadata.get(name)[0] ?? '');
  return {
    accessToken: bearerOf(first('authorization')),
    reconnectToken: first('reconnect-token') || undefined,
  };
}

/** `127.0.0.1:50123`, `[::1]:50123`, or `ipv4:127.0.0.1:50123` → the address. */
function hostOf(peer: string): string {
  return peer.replace(/^ipv[46]:/, '').replace(/:\d+$/, '');
}

/** Streams are served by themselves, the methods of reflection and health by grpc-js. */
function interceptor(options: GrpcOptions): ServerInterceptor {
  const { door, signIn, gateway } = options;
  const unsigned = new UnsignedCalls(options.maxUnsignedCalls);
  const windows = new ConnectionWindows(options.connectionWindow);
  const open: Open = async (stream, metadata) => {
    door.knock(hostOf(stream.getPeer()));
    const signedIn = await signIn(credentialsOf(metadata), ({ userId }) => door.enter(userId));
    unsigned.leave(stream.carrier);
    windows.widen(stream.carrier);
    const [traceparent] = metadata.get('traceparent');
    return gateway.accept(signedIn, 'grpc', stream, { traceparent, tracestate: metadata.get('tracestate').join() });
  };
  const streams = {
    open,
    maxMessageBytes: options.maxPayloadBytes * HARD_LIMIT_FACTOR,
    closeTimeoutMs: options.closeTimeoutMs,
  };
  return ({ path }, call) => {
    unsigned.enter(insideOf(call).stream);
    return path === PATH ? new GrpcStream(call, streams) : new PacedCall(call);
  };
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
    // Counts and timestamps a message for a service that is not offered; metrics are at /metrics.
    'grpc.enable_channelz': 0,
    interceptors: [interceptor(options)],
  });
  // A method must have a handler to be found; the interceptor keeps its calls to itself.
  server.addService(service, { Connect: () => {} });
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
    async close() {
      listener.stop();
      server.tryShutdown(() => {});
      const timer = setTimeout(() => listener.cut(), CLOSE_TIMEOUT_MS);
      await listener.ended;
      clearTimeout(timer);
    },
  };
}
