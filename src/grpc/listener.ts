/**
 * The port of the gRPC server. grpc-js cannot listen on a port that several processes share, so connections are taken here and
 * handed to it.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
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
  /** Resolves when it was stopped and every connection has ended; grpc-js does not wait for those that it was handed. */
  ended: Promise<void>;
  /** Cuts off every connection that is there. */
  cut(): void;
}

export async function listenForGrpc(
  server: Server,
  credentials: ServerCredentials,
  { host, port, shared }: GrpcListen,
): Promise<GrpcListener> {
  const injector = server.createConnectionInjector(credentials);
  const sockets = new Set<Socket>();
  const listener = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    injector.injectConnection(socket);
  });
  listener.listen({ host, port, reusePort: shared });
  await once(listener, 'listening');
  const ended = new Promise<void>((resolve) => listener.once('close', resolve));
  return {
    ended,
    port: (listener.address() as AddressInfo).port,
    stop: () => listener.close(),
    cut() {
      for (const socket of sockets) socket.destroy();
    },
  };
}
