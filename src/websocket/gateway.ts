/**
 * The WebSocket gateway: /ws and the namespaces of document E. The envelope travels as protobuf JSON in text frames
 * (subprotocol ride.v1.json, the default) or as binary protobuf (ride.v1.protobuf).
 *
 * Outbound frames are finished bytes that go straight to the socket; `ws` does the handshake, the reading and the closing.
 */
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { asRideError, type ErrorCode, errorCodes, RideError } from '../errors.ts';
import type { Door } from '../realtime/door.ts';
import type { Encoding, Outgoing } from '../realtime/frame.ts';
import type { Gateway } from '../realtime/gateway.ts';
import type { Recovery, Redeemed } from '../realtime/recovery.ts';
import { bearerOf, type Credentials, type SignedIn, type SignIn } from '../realtime/sign-in.ts';
import type { Transport } from '../realtime/transport.ts';
import type { SessionSocket } from './session-socket.ts';
import { BINARY_PROTOCOL, namespaces } from './upgrades.ts';

export interface WebSocketOptions {
  gateway: Gateway;
  door: Door;
  signIn: SignIn;
  recovery: Pick<Recovery, 'giveBack'>;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Of an upgrade. */
    signedIn: SignedIn;
  }
}

const BEARER_PROTOCOL = 'bearer.';
const RECONNECT_PROTOCOL = 'reconnect.';

/** A close reason may have 123 bytes (RFC 6455 section 5.5). */
const MAX_REASON = 123;
/** Close code of errors that have none of their own; below 4500: reconnecting may help. */
export const DEFAULT_CLOSE = 4400;

function closeCodeOf(code: ErrorCode): number {
  const spec: { close?: number } = errorCodes[code];
  return spec.close ?? DEFAULT_CLOSE;
}

class WebSocketTransport implements Transport {
  readonly #ws: WebSocket;
  readonly #socket: Socket;
  readonly #encoding: Encoding;

  constructor(ws: WebSocket, socket: Socket, encoding: Encoding) {
    this.#ws = ws;
    this.#socket = socket;
    this.#encoding = encoding;
  }

  write(outgoing: Outgoing): void {
    if (this.#ws.readyState === this.#ws.OPEN) this.#socket.write(outgoing.webSocket(this.#encoding));
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  blocked(): boolean {
    return this.#socket.writableNeedDrain;
  }

  onDrain(listener: () => void): void {
    this.#socket.once('drain', listener);
  }

  pauseReading(): void {
    this.#ws.pause();
  }

  resumeReading(): void {
    this.#ws.resume();
  }

  close(code: ErrorCode, reason: string): void {
    // What is paused would never read the peer's answer to the close.
    this.#ws.resume();
    this.#ws.close(closeCodeOf(code), Buffer.from(`${code}: ${reason}`).subarray(0, MAX_REASON));
  }
}

function protocolsOf(request: FastifyRequest): string[] {
  return (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
}

/** Browsers can set no header: a token may also be a subprotocol (`bearer.<token>`, `reconnect.<token>`) or in the query. */
function credentialsOf(request: FastifyRequest): Credentials {
  const protocols = protocolsOf(request);
  const after = (prefix: string): string | undefined =>
    protocols.find((name) => name.startsWith(prefix))?.slice(prefix.length);
  const query = request.query as { access_token?: string; reconnect_token?: string };
  const header = request.headers['x-reconnect-token'];
  return {
    accessToken: bearerOf(request.headers.authorization) ?? after(BEARER_PROTOCOL) ?? query.access_token,
    reconnectToken:
      (typeof header === 'string' ? header : undefined) ?? after(RECONNECT_PROTOCOL) ?? query.reconnect_token,
  };
}

/** The reply of a request that is being upgraded, until it is. */
const upgrades = new WeakMap<FastifyRequest, FastifyReply>();

/**
 * Ends what still ties the HTTP request and its reply to the socket: they would live as long as the session and cost it more
 * memory than the session itself.
 */
function letGo(ws: SessionSocket, request: FastifyRequest): void {
  upgrades.get(request)?.raw.detachSocket(request.socket);
  upgrades.delete(request);
  // The address, which Node keeps with the socket; who asks again has it read again.
  (request.socket as Socket & { _peername?: object })._peername = undefined;
  // @fastify/websocket's own listener, whose closure holds both.
  ws.takeErrors();
}

/** What gives the reconnect token of an upgrade back should its connection end first. */
const givingBack = new WeakMap<FastifyRequest, () => void>();

/** A handshake that `ws` refuses, or whose client went away during the sign-in, leaves the token as good as it was. */
function untilUpgraded(request: FastifyRequest, saved: Redeemed, { recovery }: WebSocketOptions): void {
  const giveBack = (): void => recovery.giveBack(saved);
  if (request.socket.destroyed) {
    giveBack();
    return;
  }
  givingBack.set(request, giveBack);
  request.socket.once('close', giveBack);
}

/** From now on the session answers for it. */
function upgraded(request: FastifyRequest): void {
  const giveBack = givingBack.get(request);
  if (!giveBack) return;
  givingBack.delete(request);
  request.socket.off('close', giveBack);
}

export async function webSocketRoutes(app: FastifyInstance, options: WebSocketOptions): Promise<void> {
  app.decorateRequest('signedIn');
  for (const { path, name, roles } of namespaces) {
    app.route({
      method: 'GET',
      url: path,
      schema: { hide: true } as object,
      // Refusals are HTTP answers: nothing is upgraded that may not stay.
      onRequest: async (request: FastifyRequest, reply: FastifyReply) => {
        upgrades.set(request, reply);
        request.signedIn = await options.signIn(credentialsOf(request), ({ role, userId }) => {
          if (roles && !roles.includes(role)) {
            throw new RideError('RIDE_FORBIDDEN', `${path} is for ${roles.join(' and ')}, not for a ${role}`, {
              field: 'authorization',
              rule: `a token of a ${roles.join(' or ')}`,
            });
          }
          options.door.enter(userId);
        });
        const { saved } = request.signedIn;
        if (saved) untilUpgraded(request, saved, options);
      },
      handler: () => {
        throw new RideError('RIDE_NOT_FOUND', `${path} is a WebSocket: ask for an upgrade`, {
          field: 'upgrade',
          rule: 'websocket',
        });
      },
      wsHandler: (socket: WebSocket, request: FastifyRequest) => {
        // As upgrades.ts has it.
        const ws = socket as SessionSocket;
        const { traceparent, tracestate } = request.headers;
        upgraded(request);
        letGo(ws, request);
        const encoding: Encoding = ws.protocol === BINARY_PROTOCOL ? 'binary' : 'json';
        const transport = new WebSocketTransport(ws, request.socket, encoding);
        try {
          ws.serve(options.gateway.accept(request.signedIn, name, transport, { traceparent, tracestate }));
        } catch (thrown) {
          // The last free place was taken between the upgrade and now: a message says what the refused upgrade would have.
          const error = asRideError(thrown);
          if (error.code === 'RIDE_INTERNAL') request.log.error({ err: error.cause }, 'session not opened');
          transport.write(options.gateway.refusal(error));
          transport.close(error.code, error.message);
        }
      },
    });
  }
}
