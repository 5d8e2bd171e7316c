/** GeoJSON (RFC 7946) on the wire: schemas of what is taken and given, and what others draw from it. */
import { type TSchema, Type } from 'typebox';

export const GEOJSON = 'application/geo+json';

/** A list of two and not a tuple, which JSON Schema 2020-12 and the serializer write differently. */
export const PairSchema = Type.Unsafe<[lng: number, lat: number]>({
  type: 'array',
  items: { type: 'number', minimum: -180, maximum: 180 },
  minItems: 2,
  maxItems: 2,
  description: 'lng, lat in degrees',
});
const RingSchema = Type.Array(PairSchema, { minItems: 4, maxItems: 5000 });
const Rings = Type.Array(RingSchema, { minItems: 1, maxItems: 100 });

export const PolygonSchema = Type.Object(
  { type: Type.Literal('Polygon'), coordinates: Rings },
  { title: 'Polygon', additionalProperties: false, description: 'The first ring is the outline, the others are holes' },
);
export const MultiPolygonSchema = Type.Object(
  { type: Type.Literal('MultiPolygon'), coordinates: Type.Array(Rings, { minItems: 1, maxItems: 100 }) },
  { title: 'MultiPolygon', additionalProperties: false },
);
export const AreaSchema = Type.Union([PolygonSchema, MultiPolygonSchema], {
  description: 'Rings are closed; an area over the date line is cut there into two polygons',
});

/** `title` names the feature in the API's document, `example` is one. */
export function featureOf<G extends TSchema, P extends TSchema>(
  geometry: G,
  properties: P,
  title: string,
  example: object,
) {
  return Type.Object(
    { type: Type.Literal('Feature'), id: Type.Optional(Type.String()), geometry, properties },
    { title, description: 'A GeoJSON feature', examples: [example] },
  );
}
