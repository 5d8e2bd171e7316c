/** Wire schemas that several resources share (TypeBox, so JSON Schema 2020-12 and OpenAPI 3.1 as they stand). */
import { type Static, type TSchema, Type } from 'typebox';
import { limits } from './locations/rules.ts';
import { city, type NameRule, userId } from './names.ts';
import { vehicleClasses } from './roles.ts';

/** One of some strings. */
export function OneOf<const T extends readonly string[]>(values: T, more: { description?: string } = {}) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: [...values], ...more });
}

export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

export const Latitude = Type.Number({
  minimum: limits.lat.min,
  maximum: limits.lat.max,
  description: 'degrees, WGS 84',
});
export const Longitude = Type.Number({
  minimum: limits.lng.min,
  maximum: limits.lng.max,
  description: 'degrees, WGS 84',
});
export const EpochMs = Type.Integer({ minimum: 0, description: 'epoch milliseconds' });
export const Id = Type.String({ minLength: 1, maxLength: 128 });

/** A text that keeps a rule of names. */
export const Named = ({ pattern, rule }: NameRule, description = rule) =>
  Type.String({ pattern: pattern.source, description });

export const UserId = Named(userId);
export const CitySchema = Named(city, 'city, as in the setting CITY');
/** Of a request that is about a place. */
export const PlaceCitySchema = Type.Optional(
  Named(
    city,
    'left out: where the pick-up lies, or else the caller’s; where geofences of purpose city hold the place, one of theirs',
  ),
);
export const VehicleClassSchema = OneOf(vehicleClasses);

/** Who asks on behalf of another names him with it. */
export const ForWhom = Type.Optional(Named(userId, 'for whom; operators and services only'));

/** Of a way and its time. */
export const EstimateSource = Type.String({
  description: 'where the estimate came from: a routing engine, or straight_line',
});

/** A place as people write it. */
export const Address = Type.Optional(Type.String({ minLength: 1, maxLength: 300 }));

export const Closed = { additionalProperties: false } as const;

/** RFC 9457. A schema with a title stands under that name in the API's document. */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: 'URI reference that identifies the kind of problem' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String({ description: 'one of docs/errors.md' }),
    corr_id: Type.String(),
    field: Type.Optional(Type.String({ description: 'the input field at fault' })),
    rule: Type.Optional(Type.String({ description: 'the rule it broke' })),
    retry_after_ms: Type.Optional(Type.Integer()),
    facts: Type.Optional(Type.Object({}, { additionalProperties: true, description: 'who won, at which version, …' })),
  },
  { title: 'Problem' },
);
export type Problem = Static<typeof ProblemSchema>;

/** `title` names the page in the API's document; `examples`: of items, when not those of the item itself. */
export function pageOf<T extends TSchema>(
  item: T,
  title: string,
  examples = (item as { examples?: unknown[] }).examples,
) {
  return Type.Object(
    {
      items: Type.Array(item),
      next_page_token: Type.Optional(
        Type.String({ description: 'give it as page_token for the next page; missing on the last' }),
      ),
    },
    { title, description: 'A page', ...(examples ? { examples: [{ items: examples }] } : {}) },
  );
}

export const Radius = (place: string) =>
  Type.Optional(Type.Integer({ minimum: 100, maximum: 50_000, description: `metres around ${place}; left out: 2000` }));

const PAGE_SIZE = 50;

export const PageQuerySchema = {
  page_size: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: PAGE_SIZE })),
  page_token: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
};

/** Which page a query asks for. */
export const paging = (query: { page_size?: number; page_token?: string }) => ({
  pageSize: query.page_size ?? PAGE_SIZE,
  pageToken: query.page_token,
});
