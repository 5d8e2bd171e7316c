/** Small clients of a server that is somewhere: REST, a WebSocket in JSON, a gRPC stream, all closed with the test. */
import { once } from 'node:events';
import WebSocket from 'ws';
import { connectGrpc, type GrpcClient } from './grpc.ts';
import { type JsonClient, wrapWebSocket } from './websocket.ts';

/** What the helpers need of a tap test. */
export interface TestScope {
  after(hook: () => Promise<void> | void): void;
}

export interface Rest {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects
  body: any;
}

/** Clients of a server that is somewhere. */
export interface Clients {
  at: { http: string; grpc: string };
  token(role: string, userId: string, more?: object): Promise<string>;
  rest(method: string, path: string, token?: string, body?: unknown, headers?: Record<string, string>): Promise<Rest>;
  /** A WebSocket in JSON, already welcomed. */
  ws(path: string, token: string): Promise<JsonClient>;
  /** A gRPC stream, already welcomed. */
  grpc(token: string): Promise<GrpcClient>;
}

/** Clients that are closed with the test. */
export function clientsOf(t: TestScope, at: Clients['at']): Clients {
  const rest: Clients['rest'] = async (method, path, token, body, headers = {}) => {
    const response = await fetch(`http://${at.http}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = (response.headers.get('content-type') ?? '').includes('json');
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  };

  return {
    at,
    rest,
    async token(role, userId, more = {}) {
      const { status, body } = await rest('POST', '/api/v1/auth/token', undefined, { role, user_id: userId, ...more });
      if (status !== 200) throw new Error(`no token: ${JSON.stringify(body)}`);
      return body.access_token;
    },
    async ws(path, token) {
      const socket = new WebSocket(`ws://${at.http}${path}`, ['ride.v1.json'], {
        headers: { authorization: `Bearer ${token}` },
      });
      const client = wrapWebSocket(socket);
      t.after(() => socket.terminate());
      await once(socket, 'open');
      await client.next((m) => m.welcome !== undefined);
      return client;
    },
    async grpc(token) {
      const client = connectGrpc(at.grpc, token);
      t.after(() => client.close());
      await client.next((m) => m.welcome !== undefined);
      return client;
    },
  };
}
