/** Tracks on the wire: as GeoJSON and as an encoded polyline. */
import { type Static, Type } from 'typebox';
import type { TrackPoint } from '../../ports/store.ts';
import { after, TRIP_ID } from '../examples.ts';
import { featureOf, PairSchema } from '../geojson.ts';
import { encodePolyline } from '../polyline.ts';
import { EpochMs, PageQuerySchema } from '../schemas.ts';
import { lengthM } from './rules.ts';

export const TrackQuerySchema = Type.Object(
  {
    raw: Type.Optional(
      Type.Boolean({ default: false, description: 'true: every point as it came, also impossible ones' }),
    ),
    ...PageQuerySchema,
    page_size: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10_000, default: 5000, description: 'points that are looked at' }),
    ),
  },
  { additionalProperties: false },
);

const Summary = {
  trip_id: Type.String(),
  points: Type.Integer({ minimum: 0 }),
  from_ms: Type.Optional(EpochMs),
  to_ms: Type.Optional(EpochMs),
  length_m: Type.Number({ description: 'along the points of this page' }),
  dropped: Type.Object(
    {
      duplicate: Type.Integer(),
      inaccurate: Type.Integer(),
      jump: Type.Integer({ description: 'places that could not be reached in time' }),
    },
    { description: 'Points of this page that cleansing left out' },
  ),
  next_page_token: Type.Optional(
    Type.String({ description: 'give it as page_token for the next page; missing on the last' }),
  ),
};

const summaryExample = {
  trip_id: TRIP_ID,
  points: 3,
  from_ms: after(360),
  to_ms: after(400),
  length_m: 320.8,
  dropped: { duplicate: 1, inaccurate: 0, jump: 0 },
};

const Optionals = Type.Array(Type.Union([Type.Number(), Type.Null()]));

export const TrackFeatureSchema = featureOf(
  Type.Union([
    Type.Object({ type: Type.Literal('LineString'), coordinates: Type.Array(PairSchema) }),
    Type.Object({ type: Type.Literal('Point'), coordinates: PairSchema }),
    Type.Null(),
  ]),
  Type.Object({
    ...Summary,
    times_ms: Type.Array(EpochMs, { description: 'of each position' }),
    speeds_mps: Optionals,
    accuracies_m: Optionals,
  }),
  'TrackFeature',
  {
    type: 'Feature',
    id: TRIP_ID,
    geometry: {
      type: 'LineString',
      coordinates: [
        [-73.9857, 40.7484],
        [-73.9867, 40.7471],
        [-73.9876, 40.7459],
      ],
    },
    properties: {
      ...summaryExample,
      times_ms: [after(360), after(380), after(400)],
      speeds_mps: [0, 8.1, 7.9],
      accuracies_m: [5, 5, null],
    },
  },
);
export type TrackFeature = Static<typeof TrackFeatureSchema>;

export const TrackPolylineSchema = Type.Object(
  {
    ...Summary,
    polyline: Type.String({ description: 'Encoded polyline algorithm' }),
    precision: Type.Literal(5),
  },
  {
    title: 'TrackPolyline',
    description: 'A track, in short',
    examples: [{ ...summaryExample, polyline: 'otuwFriqbMbGfEnFrD', precision: 5 }],
  },
);
export type TrackPolyline = Static<typeof TrackPolylineSchema>;

interface Page {
  trip: { id: string };
  kept: readonly TrackPoint[];
  dropped: { duplicate: number; inaccurate: number; jump: number };
  nextPageToken?: string;
}

function summary({ trip, kept, dropped, nextPageToken }: Page) {
  const { duplicate, inaccurate, jump } = dropped;
  const [first, last] = [kept[0], kept.at(-1)];
  return {
    trip_id: trip.id,
    points: kept.length,
    ...(first && last ? { from_ms: first.at, to_ms: last.at } : {}),
    length_m: Math.round(lengthM(kept) * 10) / 10,
    dropped: { duplicate, inaccurate, jump },
    ...(nextPageToken ? { next_page_token: nextPageToken } : {}),
  };
}

export function toTrackFeature(page: Page): TrackFeature {
  const { kept } = page;
  const pairs = kept.map(({ lat, lng }) => [lng, lat] as [number, number]);
  return {
    type: 'Feature',
    id: page.trip.id,
    geometry:
      pairs.length > 1
        ? { type: 'LineString', coordinates: pairs }
        : pairs[0]
          ? { type: 'Point', coordinates: pairs[0] }
          : null,
    properties: {
      ...summary(page),
      times_ms: kept.map(({ at }) => at),
      speeds_mps: kept.map(({ speedMps }) => speedMps ?? null),
      accuracies_m: kept.map(({ accuracyM }) => accuracyM ?? null),
    },
  };
}

export const toTrackPolyline = (page: Page): TrackPolyline => ({
  ...summary(page),
  polyline: encodePolyline(page.kept),
  precision: 5,
});
