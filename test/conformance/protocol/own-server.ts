/** A server of the suite's own: the real one, with small bounds, so that every case finds its occasion soon. */
import { createHmac } from 'node:crypto';
import type { TestScope } from '../../clients/clients.ts';
import { build } from '../../helper.ts';
import type { Place } from './case.ts';

const ENV = {
  HEARTBEAT_INTERVAL: '1s',
  HEARTBEAT_TIMEOUT: '4s',
  PRESENCE_GRACE: '300ms',
  MAX_SESSIONS_PER_USER: '12',
  MAX_SUBSCRIPTIONS: '10',
  SOCKET_LIMIT_GENERAL: '100',
  SOCKET_LIMIT_LOCATION: '1000',
  SOCKET_LIMIT_CHAT: '50',
};

const base64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A JWT with HS256 (RFC 7519). */
export function signToken(secret: string, claims: object): string {
  const signed = `${base64({ alg: 'HS256', typ: 'JWT' })}.${base64(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

export async function ownPlace(scope: TestScope): Promise<Place> {
  const server = await build(scope, { env: ENV });
  return {
    at: server.at,
    token: server.token,
    rest: server.rest,
    ws: server.ws,
    grpc: server.grpc,
    sign: (claims) => signToken(server.config.jwtSecret, claims),
    alarms: true,
    start: (inner, env) => build(inner, { env: { ...ENV, ...env } }),
  };
}
