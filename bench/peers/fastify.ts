/** Bare Fastify: one route that answers a trip's location from a Map; or @fastify/websocket, whose sockets stay silent. */
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

interface Place {
  tripId: string;
  driverId: string;
  lat: number;
  lng: number;
}

const api = {
  async listenForWebSockets({ port }: { port: number }): Promise<void> {
    const app = Fastify();
    await app.register(websocket, { options: { perMessageDeflate: false } });
    app.get('/', { websocket: true }, (ws) => {
      ws.on('message', () => {});
    });
    await app.listen({ host: HOST, port });
  },

  async listenForRequests({ port, places }: { port: number; places: Place[] }): Promise<void> {
    const app = Fastify();
    const recordedAt = Date.now();
    const locations = new Map(
      places.map(({ tripId, driverId, lat, lng }) => [
        tripId,
        {
          trip_id: tripId,
          driver_id: driverId,
          lat,
          lng,
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
