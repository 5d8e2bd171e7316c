/**
 * Which rides and deliveries somebody finds: by who has part in them, by when they were requested, and around a pick-up. Cells narrow
 * the search in the store, as for departures; distances are measured here.
 */
import { invalidInput } from '../../errors.ts';
import type { Collection, Filter, Page } from '../../ports/store.ts';
import { type Around, cellsAround, within } from '../departures/cover.ts';
import { fullPage } from '../pages.ts';
import type { Principal } from '../roles.ts';
import type { TripStatus } from '../statuses.ts';
import { type DispatchedKind, dispatchedKinds, type Trip } from './trip.ts';

export interface TripQuery {
  /** Left out: rides and deliveries. */
  kind?: DispatchedKind;
  status?: TripStatus;
  city?: string;
  driverId?: string;
  riderId?: string;
  /** Requested at this instant or later, epoch ms; a ride for later too goes by its request. */
  from?: number;
  /** Requested earlier than this, epoch ms. */
  before?: number;
  /** Picked up there. */
  near?: Around;
  direction?: 'asc' | 'desc';
  pageSize: number;
  pageToken?: string;
}

function createdIn({ from, before }: TripQuery): Filter {
  if (from === undefined && before === undefined) return {};
  if (from !== undefined && before !== undefined && before <= from) throw invalidInput('before', 'later than from');
  return {
    createdAt: { ...(from === undefined ? {} : { gte: from }), ...(before === undefined ? {} : { lt: before }) },
  };
}

function filter({ role, userId }: Principal, query: TripQuery): Filter {
  const { kind, status, city, near } = query;
  const driverId = role === 'driver' ? userId : query.driverId;
  const riderId = role === 'rider' ? userId : query.riderId;
  return {
    kind: kind ?? { in: dispatchedKinds },
    ...(status ? { status } : {}),
    ...(city ? { 'source.city': city } : {}),
    ...(driverId ? { driverId } : {}),
    ...(riderId ? { riderId } : {}),
    ...(near ? { 'source.cell': { in: cellsAround(near, near.radiusM) } } : {}),
    ...createdIn(query),
  };
}

/** By when they were requested; riders and drivers see their own trips whatever they ask for. @throws RideError RIDE_INVALID_INPUT */
export async function searchTrips(
  trips: Collection<Trip>,
  principal: Principal,
  query: TripQuery,
): Promise<Page<Trip>> {
  const { near, direction = 'desc', pageSize, pageToken } = query;
  const where = filter(principal, query);
  const read = (part: { pageSize: number; pageToken?: string }) => trips.page({ where, direction, ...part });
  return fullPage({ pageSize, pageToken }, ({ source }) => within(source, near), read);
}
