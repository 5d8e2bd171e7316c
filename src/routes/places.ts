/** What a place belongs to: H3 zone, city, geofences. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { cellArea, cellToBoundary, getResolution, gridDisk, isValidCell, latLngToCell, UNITS } from 'h3-js';
import { Type } from 'typebox';
import { PlaceQuerySchema, PlaceSchema, ZoneSchema } from '../domain/geofences/schemas.ts';
import type { Geofences } from '../domain/geofences/service.ts';
import { GEOJSON } from '../domain/geojson.ts';
import { invalidInput } from '../errors.ts';
import { problems } from './problems.ts';

export interface PlaceRouteOptions {
  geofences: Pick<Geofences, 'index' | 'citiesAt'>;
  zoneResolution: number;
}

export const placeRoutes: FastifyPluginAsyncTypebox<PlaceRouteOptions> = async (app, { geofences, zoneResolution }) => {
  const tags = ['places'];
  const security = [{ bearer: [] }];

  app.get(
    '/places/at',
    {
      schema: {
        operationId: 'getPlace',
        summary: 'What a place belongs to',
        tags,
        security,
        querystring: PlaceQuerySchema,
        response: { 200: PlaceSchema, ...problems(400, 401, 429, 503) },
      },
    },
    async ({ query: { lat, lng } }) => {
      const around = geofences.index.at(lat, lng);
      return {
        zone: latLngToCell(lat, lng, zoneResolution),
        city: geofences.citiesAt({ lat, lng })[0] ?? null,
        geofences: around.map(({ id, name, purpose }) => ({ id, name, purpose })),
      };
    },
  );

  app.get(
    '/zones/:zone',
    {
      schema: {
        operationId: 'getZone',
        summary: 'The outline of a zone, as GeoJSON',
        tags,
        security,
        params: Type.Object({ zone: Type.String({ minLength: 1, maxLength: 32 }) }),
        response: {
          200: { description: 'The hexagon', content: { [GEOJSON]: { schema: ZoneSchema } } },
          ...problems(400, 401, 429, 503),
        },
      },
    },
    async ({ params: { zone } }, reply) => {
      if (!isValidCell(zone)) throw invalidInput('zone', 'an H3 cell');
      const feature = {
        type: 'Feature',
        id: zone,
        geometry: { type: 'Polygon', coordinates: [cellToBoundary(zone, true)] },
        properties: {
          zone,
          resolution: getResolution(zone),
          area_km2: cellArea(zone, UNITS.km2),
          neighbours: gridDisk(zone, 1).filter((cell) => cell !== zone),
        },
      };
      return reply.type(GEOJSON).send(feature as never);
    },
  );
};
