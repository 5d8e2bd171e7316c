/**
 * Which departures passengers find: by time, and by city or around places, with enough seats free. Cells narrow the search in the
 * store; distances are measured here, so a page of the store may hold less than is asked for and more are read until it is full.
 */
import { invalidInput } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Collection, Filter, Page } from '../../ports/store.ts';
import { distanceM, type LatLng } from '../geo.ts';
import type { VehicleClass } from '../roles.ts';
import { cellsAround } from './cover.ts';
import type { Departure } from './departure.ts';
import type { DepartureStatus } from './rules.ts';

export interface Around extends LatLng {
  radiusM: number;
}

export interface DepartureSearch {
  /** Default: those that can be booked. */
  status?: DepartureStatus;
  driverId?: string;
  city?: string;
  toCity?: string;
  near?: Around;
  toNear?: Around;
  /** Epoch ms; default: now, where departures that can be booked are asked for. */
  departsFrom?: number;
  departsBefore?: number;
  seats?: number;
  vehicleClass?: VehicleClass;
  pageSize: number;
  pageToken?: string;
}

/** Reads of the store for one page; a page that is not full then has a token all the same. */
const READS_MAX = 8;
const TOKEN = /^(\d{1,15})\.(.{1,1000})$/;

export function createSearch(departures: Collection<Departure>, clock: Clock) {
  function filter(query: DepartureSearch, from: number): Filter {
    const { status, city, toCity, near, driverId, seats, vehicleClass, departsBefore } = query;
    const to = departsBefore === undefined ? {} : { lt: departsBefore };
    return {
      kind: 'scheduled',
      ...(status ? { status } : {}),
      ...(driverId ? { driverId } : {}),
      ...(city ? { 'source.city': city } : {}),
      ...(toCity ? { 'destination.city': toCity } : {}),
      ...(near ? { 'source.cell': { in: cellsAround(near, near.radiusM) } } : {}),
      departureTime: { gte: from, ...to },
      ...(seats ? { seatsFree: { gte: seats } } : {}),
      ...(vehicleClass ? { vehicleClass } : {}),
    };
  }

  const within = (place: LatLng, around: Around | undefined): boolean =>
    around === undefined || distanceM(place, around) <= around.radiusM;

  /** The first page fixes from when on, or the next would be of another query. */
  function startOf(query: DepartureSearch): { from: number; token?: string } {
    if (query.pageToken !== undefined) {
      const [, from, token] = TOKEN.exec(query.pageToken) ?? [];
      if (from === undefined || token === undefined || (query.departsFrom ?? Number(from)) !== Number(from))
        throw invalidInput('page_token', 'the next_page_token of the page before, with the same query');
      return { from: Number(from), token };
    }
    return { from: query.departsFrom ?? (query.status === 'scheduled' ? clock.now() : 0) };
  }

  /** By departure time. @throws RideError RIDE_INVALID_INPUT for a token of another query */
  return async function search(query: DepartureSearch): Promise<Page<Departure>> {
    const start = startOf(query);
    const where = filter(query, start.from);
    const items: Departure[] = [];
    let { token } = start;
    for (let read = 0; read < READS_MAX; read++) {
      const page = await departures.page({
        where,
        orderBy: 'departureTime',
        direction: 'asc',
        pageSize: query.pageSize - items.length,
        ...(token === undefined ? {} : { pageToken: token }),
      });
      items.push(...page.items.filter((d) => within(d.source, query.near) && within(d.destination, query.toNear)));
      token = page.nextPageToken;
      if (token === undefined || items.length >= query.pageSize) break;
    }
    return { items, ...(token === undefined ? {} : { nextPageToken: `${start.from}.${token}` }) };
  };
}
