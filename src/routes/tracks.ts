/** The track of a trip. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { GEOJSON } from '../domain/geojson.ts';
import { Id } from '../domain/schemas.ts';
import {
  TrackFeatureSchema,
  TrackPolylineSchema,
  TrackQuerySchema,
  toTrackFeature,
  toTrackPolyline,
} from '../domain/tracks/schemas.ts';
import type { Tracks } from '../domain/tracks/service.ts';
import { problems } from './problems.ts';

const PAGE_POINTS = 5000;

export const trackRoutes: FastifyPluginAsyncTypebox<{ tracks: Tracks }> = async (app, { tracks }) => {
  const shared = {
    tags: ['trips'],
    security: [{ bearer: [] }],
    params: Type.Object({ trip_id: Id }),
    querystring: TrackQuerySchema,
  };
  const refusals = problems(400, 401, 403, 404, 429, 503);

  app.get(
    '/trips/:trip_id/track',
    {
      schema: {
        operationId: 'getTrack',
        summary: 'The way of a trip, as GeoJSON',
        description:
          'Every position of the driver while he had the trip, oldest first, without what cannot be; for its rider, of a departure its passengers, its driver and ' +
          'operators. A page may hold fewer points than page_size, for it counts those that were left out.',
        ...shared,
        response: {
          200: {
            description: 'A page of the track, as a line',
            content: { [GEOJSON]: { schema: TrackFeatureSchema } },
          },
          ...refusals,
        },
      },
    },
    async ({ principal, params, query }, reply) => {
      const page = await tracks.ofTrip(principal, params.trip_id, {
        isRaw: query.raw ?? false,
        pageSize: query.page_size ?? PAGE_POINTS,
        pageToken: query.page_token,
      });
      return reply.type(GEOJSON).send(toTrackFeature(page) as never);
    },
  );

  app.get(
    '/trips/:trip_id/track/polyline',
    {
      schema: {
        operationId: 'getTrackPolyline',
        summary: 'The way of a trip, as an encoded polyline',
        description: 'The same points in a tenth of the size, without their times.',
        ...shared,
        response: { 200: TrackPolylineSchema, ...refusals },
      },
    },
    async ({ principal, params, query }) =>
      toTrackPolyline(
        await tracks.ofTrip(principal, params.trip_id, {
          isRaw: query.raw ?? false,
          pageSize: query.page_size ?? PAGE_POINTS,
          pageToken: query.page_token,
        }),
      ),
  );
};
