/** A gRPC server by itself whose sign-ins the test answers one by one, and in the place of the core a connection that notes what it hears. */
import { type GrpcServer, startGrpcServer } from '../../src/grpc/server.ts';
import type { Connection } from '../../src/realtime/connection.ts';
import type { Gateway } from '../../src/realtime/gateway.ts';
import type { Credentials, SignedIn } from '../../src/realtime/sign-in.ts';
import type { Transport } from '../../src/realtime/transport.ts';

export interface Knocked {
  port: number;
  /** Sign-ins that are under way, or were. */
  knocking: PromiseWithResolvers<SignedIn>[];
  /** The core's ends of streams that were signed in. */
  streams: Transport[];
  /** What these said. */
  heard: string[];
}

interface KnockedOptions {
  maxUnsignedCalls: number;
  connectionWindow: number;
  /** Throws what refuses a caller at once. */
  refuse?(credentials: Credentials): void;
}

export async function serveKnocked(
  t: { teardown(hook: () => unknown): unknown },
  { refuse, ...options }: KnockedOptions,
): Promise<Knocked> {
  const knocking: Knocked['knocking'] = [];
  const streams: Transport[] = [];
  const heard: string[] = [];
  const connection = {
    binary: (bytes: Buffer) => void heard.push(bytes.toString()),
    gone() {},
    async finish() {},
  } as unknown as Connection;
  const accept: Gateway['accept'] = (_signedIn, _namespace, stream) => {
    streams.push(stream);
    return connection;
  };
  const server: GrpcServer = await startGrpcServer({
    listen: { host: '127.0.0.1', port: 0, shared: false },
    gateway: { accept } as Gateway,
    door: { knock() {} } as never,
    signIn: (credentials) => {
      refuse?.(credentials);
      const signIn = Promise.withResolvers<SignedIn>();
      knocking.push(signIn);
      return signIn.promise;
    },
    maxPayloadBytes: 65_536,
    closeTimeoutMs: 200,
    ...options,
  });
  t.teardown(() => server.close());
  return { port: server.port, knocking, streams, heard };
}
