/** Geofences, their crossings and zones on the wire. */
import { type Static, Type } from 'typebox';
import { after, DRIVER_ID, GEOFENCE_ID, TRIP_ID, ZONE, ZONE_OUTLINE } from '../examples.ts';
import { AreaSchema, featureOf, MultiPolygonSchema, PolygonSchema } from '../geojson.ts';
import { CitySchema, Closed, EpochMs, Latitude, Longitude, OneOf, PageQuerySchema, pageOf } from '../schemas.ts';
import { type Crossing, type Geofence, purposes } from './geofence.ts';
import type { Area } from './rules.ts';

const PurposeSchema = OneOf(purposes);

const airport = [
  [-73.889, 40.766],
  [-73.854, 40.766],
  [-73.854, 40.786],
  [-73.889, 40.786],
  [-73.889, 40.766],
];

export const GeofenceInputSchema = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100 }),
    city: CitySchema,
    purpose: Type.Optional(PurposeSchema),
    exit_margin_m: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 2000,
        default: 50,
        description:
          'so far beyond the edge one who was inside has left; keeps one who stands on the edge from entering again and again',
      }),
    ),
    geometry: AreaSchema,
  },
  {
    ...Closed,
    title: 'GeofenceInput',
    examples: [
      {
        name: 'LaGuardia',
        city: 'nyc',
        purpose: 'airport',
        exit_margin_m: 100,
        geometry: {
          type: 'Polygon',
          coordinates: [airport],
        },
      },
    ],
  },
);

const geofenceExample = {
  type: 'Feature',
  id: GEOFENCE_ID,
  geometry: { type: 'MultiPolygon', coordinates: [[airport]] },
  properties: {
    name: 'LaGuardia',
    city: 'nyc',
    purpose: 'airport',
    exit_margin_m: 100,
    version: 1,
    created_at: after(0),
    updated_at: after(0),
  },
};

export const GeofenceSchema = featureOf(
  MultiPolygonSchema,
  Type.Object({
    name: Type.String(),
    city: Type.String(),
    purpose: PurposeSchema,
    exit_margin_m: Type.Integer(),
    version: Type.Integer({ description: 'as in the ETag' }),
    created_at: EpochMs,
    updated_at: EpochMs,
  }),
  'Geofence',
  geofenceExample,
);

export const GeofenceCollectionSchema = Type.Object(
  {
    type: Type.Literal('FeatureCollection'),
    features: Type.Array(GeofenceSchema),
    next_page_token: Type.Optional(
      Type.String({ description: 'give it as page_token for the next page; missing on the last' }),
    ),
  },
  {
    title: 'GeofenceCollection',
    description: 'A page of geofences',
    examples: [{ type: 'FeatureCollection', features: [geofenceExample] }],
  },
);

export const GeofenceQuerySchema = Type.Object({ city: Type.Optional(CitySchema), ...PageQuerySchema }, Closed);

export const CrossingPageSchema = pageOf(
  Type.Object(
    {
      id: Type.String(),
      geofence_id: Type.String(),
      driver_id: Type.String(),
      trip_id: Type.Optional(Type.String()),
      type: OneOf(['entered', 'exited']),
      lat: Latitude,
      lng: Longitude,
      at_ms: EpochMs,
      accuracy_m: Type.Optional(Type.Number()),
      position_source: Type.Optional(Type.String({ description: 'how the position came: stream or rest' })),
      inside_ms: Type.Optional(Type.Integer({ minimum: 0 })),
    },
    {
      title: 'GeofenceCrossing',
      examples: [
        {
          id: 'crs_nyc_01jd000000000000000000000c',
          geofence_id: GEOFENCE_ID,
          driver_id: DRIVER_ID,
          trip_id: TRIP_ID,
          type: 'exited',
          lat: 40.7655,
          lng: -73.8712,
          at_ms: after(-600),
          accuracy_m: 5,
          position_source: 'stream',
          inside_ms: 240_000,
        },
      ],
    },
  ),
  'GeofenceCrossingPage',
);

export const PlaceQuerySchema = Type.Object({ lat: Latitude, lng: Longitude }, Closed);

export const PlaceSchema = Type.Object(
  {
    zone: Type.String({ description: 'H3 cell of ZONE_RESOLUTION: the topic of its broadcasts is zone:<cell>' }),
    city: Type.Union([Type.String(), Type.Null()], {
      description: 'whose geofence of purpose city holds the place; null: none',
    }),
    geofences: Type.Array(Type.Object({ id: Type.String(), name: Type.String(), purpose: PurposeSchema })),
  },
  {
    title: 'PlaceFacts',
    description: 'What a place belongs to',
    examples: [
      {
        zone: '872a100f5ffffff',
        city: 'nyc',
        geofences: [{ id: GEOFENCE_ID, name: 'LaGuardia', purpose: 'airport' }],
      },
    ],
  },
);

export const ZoneSchema = featureOf(
  PolygonSchema,
  Type.Object({
    zone: Type.String(),
    resolution: Type.Integer(),
    area_km2: Type.Number(),
    neighbours: Type.Array(Type.String()),
  }),
  'Zone',
  {
    type: 'Feature',
    id: ZONE,
    geometry: { type: 'Polygon', coordinates: [ZONE_OUTLINE] },
    properties: {
      zone: ZONE,
      resolution: 7,
      area_km2: 5.187855354173317,
      neighbours: [
        '872a10725ffffff',
        '872a10721ffffff',
        '872a1072cffffff',
        '872a100d3ffffff',
        '872a100d0ffffff',
        '872a100d6ffffff',
      ],
    },
  },
);

export function toArea(geometry: Static<typeof AreaSchema>): Area {
  const coordinates = geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.coordinates;
  return { type: 'MultiPolygon', coordinates };
}

export const toGeofenceInput = (body: Static<typeof GeofenceInputSchema>) => ({
  name: body.name,
  city: body.city,
  purpose: body.purpose ?? ('custom' as const),
  exitMarginM: body.exit_margin_m ?? 50,
  area: toArea(body.geometry),
});

export function toGeofenceWire(fence: Geofence): Static<typeof GeofenceSchema> {
  return {
    type: 'Feature',
    id: fence.id,
    geometry: fence.area as Static<typeof MultiPolygonSchema>,
    properties: {
      name: fence.name,
      city: fence.city,
      purpose: fence.purpose,
      exit_margin_m: fence.exitMarginM,
      version: fence.version,
      created_at: fence.createdAt,
      updated_at: fence.updatedAt,
    },
  };
}

export const toCrossingWire = (c: Crossing) => ({
  id: c.id,
  geofence_id: c.geofenceId,
  driver_id: c.driverId,
  ...(c.tripId === '' ? {} : { trip_id: c.tripId }),
  type: c.type,
  lat: c.place.lat,
  lng: c.place.lng,
  at_ms: c.at,
  ...(c.place.accuracyM === undefined ? {} : { accuracy_m: c.place.accuracyM }),
  ...(c.place.source === undefined ? {} : { position_source: c.place.source }),
  ...(c.insideMs === undefined ? {} : { inside_ms: c.insideMs }),
});
