/**
 * A small server for the map page: the real plugin for its files, and a stream and reads whose content a test sets by hand. For
 * what the whole server cannot be brought into at will: refusals, silence, hostile text, thousands of drivers. Its frames are
 * written by the protobuf library from the contract, not by the page's own code.
 */
import { create, type MessageInitShape, toJsonString } from '@bufbuild/protobuf';
import fastifyWebsocket from '@fastify/websocket';
import Fastify, { type FastifyReply } from 'fastify';
import type { WebSocket } from 'ws';
import mapPage, { type MapPageOptions } from '../../src/plugins/map-page.ts';
import { ServerEnvelopeSchema } from '../../src/realtime/generated/ride/v1/ride_pb.js';

type Payload = NonNullable<MessageInitShape<typeof ServerEnvelopeSchema>['payload']>;

export interface RestTrip {
  id: string;
  status: string;
  version: number;
  event_seq: number;
  rider_id: string;
  driver_id: string | null;
  pickup: { lat: number; lng: number; address?: string };
  dropoff: { lat: number; lng: number; address?: string };
  created_at: number;
  updated_at: number;
  [more: string]: unknown;
}

export const CITY = 'testville';

export async function startMapServer(overrides: Partial<MapPageOptions> & { heartbeatMs?: number } = {}) {
  const { heartbeatMs = 200, ...pageOptions } = overrides;
  const app = Fastify({ forceCloseConnections: true });
  const trips = new Map<string, RestTrip>();
  const events = new Map<string, unknown[]>();
  const sockets = new Set<WebSocket>();
  const subscriptions = new Map<WebSocket, Set<string>>();
  const received: { kind: string; topic?: string }[] = [];
  const control = {
    tokens: new Set(['good-token']),
    stats: { node_id: 'n1', sessions: { total: 0, by_role: {} }, trips: {}, drivers: {} } as Record<string, unknown>,
    /** New sockets are refused while it is false. */
    accepting: true,
    /** Heartbeats are answered while it is true. */
    answering: true,
    /** GeoJSON of the surge zones; null: they are refused. */
    surge: { type: 'FeatureCollection', computed_at: null, features: [] } as object | null,
    /** Of the lists that operators read. */
    checkIns: [] as { status: string; [more: string]: unknown }[],
    anomalies: [] as { status: string; [more: string]: unknown }[],
    /** List answers are refused with this status while it is set. */
    listStatus: 0,
    opened: 0,
  };
  let serial = 0;

  function frame(payload: Payload, extra: { corrId?: string; topic?: string } = {}): string {
    serial++;
    const envelope = create(ServerEnvelopeSchema, {
      ...extra,
      nodeId: 'n1',
      sequence: BigInt(serial),
      lamport: BigInt(serial),
      eventId: `evt-${serial}`,
      sentAtMs: BigInt(Date.now()),
      payload,
    });
    return toJsonString(ServerEnvelopeSchema, envelope, { useProtoFieldName: true });
  }

  function publish(topic: string, payload: Payload): void {
    const text = frame(payload, { topic });
    for (const [socket, topics] of subscriptions) if (topics.has(topic)) socket.send(text);
  }

  function problem(reply: FastifyReply, status: number, code: string, detail: string) {
    return reply.code(status).type('application/problem+json').send({ status, code, title: code, detail });
  }

  function onMessage(socket: WebSocket, text: string): void {
    const message = JSON.parse(text);
    const corrId = message.corr_id;
    if (message.heartbeat) {
      received.push({ kind: 'heartbeat' });
      if (control.answering) {
        socket.send(frame({ case: 'ack', value: { serverTimeMs: BigInt(Date.now()) } }, { corrId }));
      }
    } else if (message.subscribe) {
      const { topic } = message.subscribe;
      received.push({ kind: 'subscribe', topic });
      subscriptions.get(socket)?.add(topic);
      socket.send(frame({ case: 'subscribed', value: { topic, recovered: true } }, { corrId }));
    } else if (message.unsubscribe) {
      received.push({ kind: 'unsubscribe', topic: message.unsubscribe.topic });
      subscriptions.get(socket)?.delete(message.unsubscribe.topic);
    }
  }

  await app.register(fastifyWebsocket);
  await app.register(mapPage, { city: CITY, region: 'lab', development: true, ...pageOptions });

  const bearer = (header: string | undefined) => /^Bearer (.+)$/.exec(header ?? '')?.[1] ?? '';
  app.addHook('preValidation', async (request, reply) => {
    if (!/^\/(api\/v1\/(trips|surge)|admin\/)/.test(request.url)) return;
    if (!control.tokens.has(bearer(request.headers.authorization))) {
      return problem(reply, 401, 'RIDE_UNAUTHENTICATED', 'Sign-in is missing or not valid');
    }
  });
  app.post('/api/v1/auth/token', async () => ({ access_token: 'good-token', token_type: 'Bearer', expires_in_s: 900 }));
  app.get('/admin/stats', async () => control.stats);
  const ofStatus = (list: readonly { status: string }[], query: unknown) => ({
    items: list.filter(({ status }) => status === (query as { status: string }).status),
  });
  app.get('/admin/check-ins', async ({ query }) => ofStatus(control.checkIns, query));
  app.get('/admin/anomalies', async ({ query }) => ofStatus(control.anomalies, query));
  app.get('/admin/drivers/:id', async () => ({ telematics: { battery_ratio: 0.42, signal_dbm: -97, age_ms: 12_000 } }));
  app.get('/admin/geofences', async () => ({ type: 'FeatureCollection', features: [] }));
  app.get('/api/v1/surge/zones', async (_request, reply) => {
    return control.surge ?? problem(reply, 503, 'RIDE_UNAVAILABLE', 'A part is away');
  });
  app.get<{ Querystring: Record<string, string> }>('/api/v1/trips', async (request, reply) => {
    if (control.listStatus !== 0) return problem(reply, control.listStatus, 'RIDE_UNAVAILABLE', 'A part is away');
    const { status, driver_id: driverId, page_size: size = '50', page_token: token = '0' } = request.query;
    const all = [...trips.values()].filter(
      (trip) => (!status || trip.status === status) && (!driverId || trip.driver_id === driverId),
    );
    const from = Number(token);
    const to = from + Math.min(Number(size), 100);
    return { items: all.slice(from, to), ...(to < all.length ? { next_page_token: String(to) } : {}) };
  });
  app.get<{ Params: { id: string } }>('/api/v1/trips/:id', async (request, reply) => {
    return trips.get(request.params.id) ?? problem(reply, 404, 'RIDE_NOT_FOUND', 'There is no such trip');
  });
  app.get<{ Params: { id: string } }>('/api/v1/trips/:id/events', async (request) => {
    return { items: events.get(request.params.id) ?? [] };
  });
  app.get(
    '/ws/admin',
    {
      websocket: true,
      preValidation: async (request, reply) => {
        const offered = String(request.headers['sec-websocket-protocol'] ?? '').split(/,\s*/);
        const token = offered.find((name) => name.startsWith('bearer.'))?.slice(7) ?? '';
        if (!control.accepting) return problem(reply, 503, 'RIDE_UNAVAILABLE', 'away');
        if (!control.tokens.has(token)) return problem(reply, 401, 'RIDE_UNAUTHENTICATED', 'no');
      },
    },
    (socket) => {
      control.opened++;
      sockets.add(socket);
      subscriptions.set(socket, new Set());
      socket.on('close', () => {
        sockets.delete(socket);
        subscriptions.delete(socket);
      });
      socket.on('message', (data) => onMessage(socket, String(data)));
      const times = { heartbeatIntervalMs: BigInt(heartbeatMs), heartbeatTimeoutMs: BigInt(heartbeatMs * 5) };
      socket.send(frame({ case: 'welcome', value: { sessionId: 's', userId: 'admin', role: 'admin', ...times } }));
    },
  );

  const origin = await app.listen({ host: '127.0.0.1', port: 0 });

  return {
    origin,
    app,
    trips,
    events,
    received,
    control,
    sockets,
    publish,
    positions(
      list: { driverId: string; lat: number; lng: number; headingDeg?: number; status: string; ageMs?: number }[],
    ) {
      const positions = list.map((p) => ({
        accuracyM: 6,
        source: 'stream',
        ...p,
        ageMs: BigInt(Math.round(p.ageMs ?? 0)),
      }));
      publish(`city:${CITY}`, { case: 'zoneBroadcast', value: { city: CITY, positions } });
    },
    /** Changes a trip and tells it, as the server does. */
    tripEvent(trip: RestTrip, type: string, status: string, more: { driverId?: string; reason?: string } = {}) {
      const seq = trip.event_seq + 1;
      const at = Date.now();
      const driverId = more.driverId ?? trip.driver_id ?? '';
      Object.assign(trip, { event_seq: seq, version: trip.version + 1, status, updated_at: at });
      if (['assigned', 'driver_arrived', 'in_progress'].includes(status)) trip.driver_id = driverId;
      trips.set(trip.id, trip);
      const history = events.get(trip.id) ?? [];
      const entry = { id: `${trip.id}-${seq}`, seq, type, status, version: trip.version, actor_id: 'tester', at };
      history.push({ ...entry, driver_id: driverId, reason: more.reason ?? '' });
      events.set(trip.id, history);
      const wire = { tripId: trip.id, seq: BigInt(seq), type, status, version: BigInt(trip.version), driverId };
      const value = { ...wire, actorId: 'tester', reason: more.reason ?? '', riderId: trip.rider_id, atMs: BigInt(at) };
      publish(`city:${CITY}`, { case: 'tripEvent', value });
      publish(`trip:${trip.id}`, { case: 'tripEvent', value });
    },
    closeSockets(code: number, reason = '') {
      for (const socket of sockets) socket.close(code, reason);
    },
    close: () => app.close(),
  };
}

export type MapServer = Awaited<ReturnType<typeof startMapServer>>;

let made = 0;

/** A requested trip without events yet. */
export function makeTrip(more: Partial<RestTrip> = {}): RestTrip {
  made++;
  const now = Date.now();
  return {
    id: `trip_lab_${String(made).padStart(26, '0')}`,
    kind: 'ride',
    status: 'requested',
    version: 0,
    event_seq: 0,
    rider_id: `rider-${made}`,
    driver_id: null,
    vehicle_class: 'standard',
    pickup: { lat: 40.75, lng: -73.99 },
    dropoff: { lat: 40.77, lng: -73.96 },
    created_at: now,
    updated_at: now,
    estimate: { distance_m: 3400, duration_s: 720, fare_minor: 1480, currency: 'USD' },
    ...more,
  };
}
