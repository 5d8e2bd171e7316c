/** Surge zones on the REST wire, as GeoJSON for maps. Factors are thousandths. */
import { cellToBoundary } from 'h3-js';
import { type Static, Type } from 'typebox';
import { after, ZONE, ZONE_OUTLINE } from '../examples.ts';
import { CitySchema, Closed, EpochMs } from '../schemas.ts';
import type { SurgeBoard, ZoneSurge } from './rules.ts';

export const Permille = Type.Integer({ minimum: 1000, description: 'factor in thousandths; 1000 is none' });
export const Cell = Type.String({ description: 'H3 cell' });

export const SurgeQuerySchema = Type.Object({ city: Type.Optional(CitySchema) }, Closed);

export const SurgeZonesSchema = Type.Object(
  {
    type: Type.Literal('FeatureCollection'),
    computed_at: Type.Union([EpochMs, Type.Null()], { description: 'null: there is no board that counts' }),
    features: Type.Array(
      Type.Object({
        type: Type.Literal('Feature'),
        id: Cell,
        geometry: Type.Object({
          type: Type.Literal('Polygon'),
          coordinates: Type.Array(Type.Array(Type.Array(Type.Number(), { minItems: 2, maxItems: 2 }))),
        }),
        properties: Type.Object({
          city: Type.String(),
          multiplier_permille: Permille,
          target_permille: Permille,
          waiting: Type.Integer({ description: 'trips without a driver in the zone' }),
          lost: Type.Integer({ description: 'trips of the zone that found none lately' }),
          drivers: Type.Integer({ description: 'available in the zone' }),
          demand: Type.Number({ description: 'waiting and lost, with the neighbours’ share' }),
          supply: Type.Number({ description: 'drivers, with the neighbours’ share' }),
        }),
      }),
    ),
  },
  {
    title: 'SurgeZones',
    description: 'GeoJSON (RFC 7946): a polygon for each zone',
    examples: [
      {
        type: 'FeatureCollection',
        computed_at: after(-5),
        features: [
          {
            type: 'Feature',
            id: ZONE,
            geometry: { type: 'Polygon', coordinates: [ZONE_OUTLINE] },
            properties: {
              city: 'nyc',
              multiplier_permille: 1000,
              target_permille: 1000,
              waiting: 3,
              lost: 0,
              drivers: 7,
              demand: 3.5,
              supply: 8,
            },
          },
        ],
      },
    ],
  },
);

/** Longitudes east of the first are continued beyond 180°, so that a zone across the date line stays one piece. */
function polygonOf(zone: string): number[][][] {
  const ring = cellToBoundary(zone, true);
  const from = ring[0]![0]!;
  return [ring.map(([lng, lat]) => [lng! - 360 * Math.round((lng! - from) / 360), lat!])];
}

const toFeature = (z: ZoneSurge) => ({
  type: 'Feature' as const,
  id: z.zone,
  geometry: { type: 'Polygon' as const, coordinates: polygonOf(z.zone) },
  properties: {
    city: z.city,
    multiplier_permille: z.multiplierPermille,
    target_permille: z.targetPermille,
    waiting: z.waiting,
    lost: z.lost,
    drivers: z.drivers,
    demand: z.demand,
    supply: z.supply,
  },
});

export function toSurgeZonesWire(
  at: SurgeBoard['at'] | null,
  zones: readonly ZoneSurge[],
): Static<typeof SurgeZonesSchema> {
  return { type: 'FeatureCollection', computed_at: at, features: zones.map(toFeature) };
}
