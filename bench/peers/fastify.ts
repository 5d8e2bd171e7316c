/** Bare Fastify: one route that answers a trip's location from a Map; and @fastify/websocket, whose sockets stay silent. */
import websocket from '@fastify/websocket';
import Fastify from 'fastify';
import { HOST } from '../harness/programs.ts';
import { serve } from '../harness/remote.ts';

/** As the real server answers it. */
const locationSchema = {
  type: 'object',
  properties: {
    trip_id: { type: 'string' },
    driver_id: { type: 'string' },
    lat: { type: 'number' },
    lng: { type: 'number' },
    speed_mps: { type: 'number' },
    heading_deg: { type: 'number' },
    accuracy_m: { type: 'number' },
    recorded_at_ms: { type: 'integer' },
    age_ms: { type: 'integer' },
    source: { type: 'string' },
    stale: { type: 'boolean' },
  },
} as const;

const api = {
  async listen({ port, tripIds }: { port: number; tripIds: string[] }): Promise<void> {
    const app = Fastify();
    await app.register(websocket, { options: { perMessageDeflate: false } });
    app.get('/', { websocket: true }, (ws) => {
      ws.on('message', () => {});
    });
    const recordedAt = Date.now();
    const locations = new Map(
      tripIds.map((trip_id) => [
        trip_id,
        {
          trip_id,
          driver_id: `driver-of-${trip_id}`,
          lat: 40.7484,
          lng: -73.9857,
          speed_mps: 7.5,
          heading_deg: 120,
          accuracy_m: 5,
          recorded_at_ms: recordedAt,
          source: 'stream',
          stale: false,
        },
      ]),
    );
    app.get<{ Params: { trip_id: string } }>(
      '/api/v1/trips/:trip_id/location',
      { schema: { response: { 200: locationSchema } } },
      async (request, reply) => {
        const location = locations.get(request.params.trip_id);
        if (!location) return reply.code(404).send();
        return { ...location, age_ms: Date.now() - location.recorded_at_ms };
      },
    );
    await app.listen({ host: HOST, port });
  },
};

export type FastifyPeerApi = typeof api;
serve(api);
