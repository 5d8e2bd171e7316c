/**
 * The port of the gRPC server. grpc-js cannot listen on a port that several processes share, so connections are taken here and
 * handed to it.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Server, ServerCredentials } from '@grpc/grpc-js';

export interface GrpcListen {
  host: string;
  port: number;
  /** Other processes of this machine take connections on the same port; otherwise that is an error. */
  shared: boolean;
}

export interface GrpcListener {
  port: number;
  /** Takes no connection from now on; those that are there go on. */
  stop(): void;
}

export async function listenForGrpc(
  server: Server,
  credentials: ServerCredentials,
  { host, port, shared }: GrpcListen,
): Promise<GrpcListener> {
  const injector = server.createConnectionInjector(credentials);
  const listener = createServer({ noDelay: true }, (socket) => injector.injectConnection(socket));
  listener.listen({ host, port, reusePort: shared });
  await once(listener, 'listening');
  return { port: (listener.address() as AddressInfo).port, stop: () => listener.close() };
}
