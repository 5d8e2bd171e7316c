/**
 * Raw GEOSEARCH on the index that the real server keeps: asked by bare ioredis as fast as Redis answers, and behind a bare Fastify that
 * answers each request with what one GEOSEARCH found.
 */
import Fastify from 'fastify';
import { Redis } from 'ioredis';
import { HOST } from '../harness/programs.ts';
import { serve } from '../harness/remote.ts';
import { Samples } from '../harness/statistics.ts';
import { now } from '../harness/time.ts';
import type { Place } from '../load/wire/protobuf.ts';

export interface Search {
  redisUrl: string;
  radiusM: number;
  limit: number;
}

/** Name, metres, [lng, lat]. */
type Found = [string, string, [string, string]];

const INDEX = 'active-drivers';

const searchOf = (redis: Redis, { radiusM, limit }: Search) => {
  const ask = ['BYRADIUS', radiusM, 'm', 'ASC', 'COUNT', limit, 'WITHDIST', 'WITHCOORD'];
  return ({ lat, lng }: Place) =>
    redis.call('GEOSEARCH', INDEX, 'FROMLONLAT', lng, lat, ...ask) as Promise<unknown> as Promise<Found[]>;
};

const itemsSchema = {
  type: 'object',
  properties: {
    items: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          driver_id: { type: 'string' },
          lat: { type: 'number' },
          lng: { type: 'number' },
          distance_m: { type: 'number' },
        },
      },
    },
  },
} as const;

/** Of `run`, kept from one to the next. */
let redis: Redis | undefined;

const api = {
  async listen({ port, ...search }: Search & { port: number }): Promise<void> {
    const find = searchOf(new Redis(search.redisUrl), search);
    const app = Fastify();
    app.get<{ Querystring: Place }>(
      '/api/v1/drivers/nearby',
      {
        schema: {
          querystring: { type: 'object', properties: { lat: { type: 'number' }, lng: { type: 'number' } } },
          response: { 200: itemsSchema },
        },
      },
      async ({ query }) => ({
        items: (await find(query)).map(([driver_id, metres, [lng, lat]]) => ({
          driver_id,
          lat: Number(lat),
          lng: Number(lng),
          distance_m: Number(metres),
        })),
      }),
    );
    await app.listen({ host: HOST, port });
  },

  /** One question at a time for each place. */
  async run({ places, durationMs, ...search }: Search & { places: Place[]; durationMs: number }) {
    redis ??= new Redis(search.redisUrl);
    const find = searchOf(redis, search);
    const latency = new Samples();
    let answers = 0;
    const startedAt = now();
    const lane = async (place: Place): Promise<void> => {
      while (now() - startedAt < durationMs) {
        const askedAt = now();
        await find(place);
        latency.add(now() - askedAt);
        answers++;
      }
    };
    await Promise.all(places.map(lane));
    const seconds = (now() - startedAt) / 1000;
    const { p50Ms, p99Ms } = latency.summary();
    return { answers, seconds, p50Ms, p99Ms };
  },
};

export type GeosearchApi = typeof api;
serve(api);
