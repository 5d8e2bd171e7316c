/**
 * Bare Fastify that takes trip requests: @fastify/jwt, which remembers the tokens it has verified, @fastify/rate-limit over Redis, so
 * that the limit is one of all nodes as ours is, and the real server's own schemas. A trip is kept in a Map or, with a file, in
 * SQLite, on the disk before it is answered. Nothing comes of it: nobody is told, nobody is sought.
 */
import { randomUUID } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import jwt from '@fastify/jwt';
import rateLimit from '@fastify/rate-limit';
import Fastify from 'fastify';
import { Redis } from 'ioredis';
import type { Static } from 'typebox';
import { TripRequestSchema, TripSchema } from '../../src/domain/trips/schemas.ts';
import { HOST } from '../harness/programs.ts';
import { serve } from '../harness/remote.ts';

type Trip = Static<typeof TripSchema>;
type Asked = Static<typeof TripRequestSchema>;

interface Place {
  port: number;
  secret: string;
  redisUrl: string;
  /** Of SQLite; without one trips are kept in memory. */
  file?: string;
}

const NO_REFUSAL = 100_000_000;

function keeper(file: string | undefined): (trip: Trip) => void {
  if (file === undefined) {
    const trips = new Map<string, Trip>();
    return (trip) => void trips.set(trip.id, trip);
  }
  const db = new DatabaseSync(file);
  // As the real server opens its own.
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  db.exec('CREATE TABLE trips (id TEXT PRIMARY KEY, rider_id TEXT, doc TEXT) STRICT');
  const insert = db.prepare('INSERT INTO trips (id, rider_id, doc) VALUES (?, ?, ?)');
  return (trip) => void insert.run(trip.id, trip.rider_id, JSON.stringify(trip));
}

function newTrip(riderId: string, asked: Asked): Trip {
  const now = Date.now();
  return {
    id: `trip_${randomUUID()}`,
    kind: 'ride',
    status: 'requested',
    version: 1,
    event_seq: 1,
    rider_id: riderId,
    driver_id: null,
    vehicle_class: asked.vehicle_class ?? 'standard',
    city: 'benchville',
    region: 'local',
    pickup: asked.pickup,
    dropoff: asked.dropoff,
    estimate: { distance_m: 9000, duration_s: 1100, fare_minor: 2200, currency: 'USD' },
    created_at: now,
    updated_at: now,
  };
}

const api = {
  async listen({ port, secret, redisUrl, file }: Place): Promise<void> {
    const keep = keeper(file);
    const app = Fastify();
    await app.register(jwt, { secret, verify: { algorithms: ['HS256'], cache: true } });
    app.addHook('onRequest', (request) => request.jwtVerify());
    await app.register(rateLimit, {
      max: NO_REFUSAL,
      timeWindow: 60_000,
      redis: new Redis(redisUrl),
      keyGenerator: ({ user }) => (user as { sub: string }).sub,
    });
    app.post<{ Body: Asked }>(
      '/api/v1/trips',
      { schema: { body: TripRequestSchema, response: { 201: TripSchema } } },
      async ({ user, body }, reply) => {
        const trip = newTrip((user as { sub: string }).sub, body);
        keep(trip);
        return reply.code(201).send(trip);
      },
    );
    await app.listen({ host: HOST, port });
  },
};

export type FastifyTripsApi = typeof api;
serve(api);
