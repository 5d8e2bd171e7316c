/** Searches of rides, deliveries and departures: queries as the domain asks for them. */
import type { Static, TObject } from 'typebox';
import type { Around } from '../domain/departures/cover.ts';
import { paging } from '../domain/schemas.ts';
import type { SearchSchema } from '../domain/trips/schemas.ts';
import type { TripQuery } from '../domain/trips/search.ts';
import { invalidInput } from '../errors.ts';

/** Of the lists of rides and deliveries. */
export const PAGES =
  'Newest first, unless order says else. Around a place a page may hold less than page_size and have a next one all the same.';

const RADIUS_M = 2000;

/** A place with its radius; all of it or nothing. @param prefix of its fields, e.g. `to_` @throws RideError RIDE_INVALID_INPUT for a part alone */
export function around(prefix: string, lat?: number, lng?: number, radiusM?: number): Around | undefined {
  if (lat === undefined && lng === undefined && radiusM === undefined) return undefined;
  if (lat === undefined) throw invalidInput(`${prefix}lat`, 'given');
  if (lng === undefined) throw invalidInput(`${prefix}lng`, 'given');
  return { lat, lng, radiusM: radiusM ?? RADIUS_M };
}

/** @throws RideError as `around` */
export const searchOf = (query: Static<TObject<typeof SearchSchema>>): TripQuery => ({
  status: query.status,
  city: query.city,
  driverId: query.driver_id,
  riderId: query.rider_id,
  from: query.from,
  before: query.before,
  near: around('', query.lat, query.lng, query.radius_m),
  direction: query.order,
  ...paging(query),
});
