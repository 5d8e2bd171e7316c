/**
 * Which requests become WebSockets: GET of one of the namespaces, with `Upgrade: websocket`. Every other wish to upgrade is an
 * ordinary request to Node (RFC 9110 section 7.8 lets a server ignore it): one for a WebSocket where there is none is refused,
 * one for another protocol (clients that offer h2c with every request) is served as if it had not been.
 */
import type { IncomingMessage } from 'node:http';
import websocket, { type WebsocketPluginOptions } from '@fastify/websocket';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Role } from '../domain/roles.ts';
import { RideError } from '../errors.ts';
import type { Door } from '../realtime/door.ts';
import { SessionSocket } from './session-socket.ts';

export const JSON_PROTOCOL = 'ride.v1.json';
export const BINARY_PROTOCOL = 'ride.v1.protobuf';

export interface Namespace {
  path: string;
  /** Label of the documents' metrics. */
  name: string;
  roles: readonly Role[] | null;
}

export const namespaces: readonly Namespace[] = [
  { path: '/ws', name: 'ws', roles: null },
  { path: '/ws/client', name: 'client', roles: ['rider'] },
  { path: '/ws/porter', name: 'porter', roles: ['driver'] },
  { path: '/ws/driver', name: 'porter', roles: ['driver'] },
  { path: '/ws/admin', name: 'admin', roles: ['admin', 'dispatcher'] },
];

const paths = new Set(namespaces.map(({ path }) => path));

type Request = Pick<IncomingMessage, 'method' | 'url' | 'headers'> & { socket: object };

const wantsWebSocket = ({ headers }: Request): boolean => headers.upgrade?.toLowerCase() === 'websocket';

/** Something else is still being answered on the connection: a wish that came behind it can only be answered in its turn. */
const isBusy = (socket: object): boolean => '_httpMessage' in socket && socket._httpMessage !== null;

/** Asked by Node of every request that wants to upgrade; those that may not are ordinary requests. */
export function isUpgrade(request: Request): boolean {
  const isOne = request.method === 'GET' && wantsWebSocket(request) && paths.has(request.url!.split('?')[0]!);
  return isOne && !isBusy(request.socket);
}

/** A message a little over the limit gets a typed error; one far over it ends the connection (1009) unread. */
const HARD_LIMIT_FACTOR = 4;
/** A peer that does not answer a close within this is cut off. */
const CLOSE_TIMEOUT_MS = 10_000;

export interface WebSocketPluginOptions {
  maxPayloadBytes: number;
  drainDeadline: number;
  door: Pick<Door, 'knock'>;
}

/** Upgrades of the whole server, registered at its root: whoever asks for one, anywhere, has knocked. */
export const webSocketPlugin = fp<WebSocketPluginOptions>(
  async (app: FastifyInstance, { maxPayloadBytes, drainDeadline, door }) => {
    const server = {
      maxPayload: maxPayloadBytes * HARD_LIMIT_FACTOR,
      closeTimeout: Math.min(CLOSE_TIMEOUT_MS, drainDeadline),
      perMessageDeflate: false,
      WebSocket: SessionSocket,
      // The broker has all sessions, and ends them before the server closes.
      clientTracking: false,
      handleProtocols: (offered: Set<string>) =>
        [BINARY_PROTOCOL, JSON_PROTOCOL].find((name) => offered.has(name)) ?? false,
    };
    // As the documentation of ws has them; its types lack `closeTimeout`, and know no class that extends its own.
    await app.register(websocket, { options: server as unknown as WebsocketPluginOptions['options'] });
    app.addHook('onRequest', (request, _reply, done) => {
      if (!wantsWebSocket(request.raw)) return done();
      door.knock(request.ip);
      if (request.ws) return done();
      const rule = `asked for by GET of ${[...paths].join(', ')}, with nothing under way on its connection`;
      throw new RideError('RIDE_NOT_FOUND', 'There is no WebSocket here', { field: 'upgrade', rule });
    });
  },
  { name: 'websocket' },
);
