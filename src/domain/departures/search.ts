/**
 * Which departures passengers find: by time, and by city or around places, with enough seats free. Cells narrow the search in the
 * store; distances, and whether a departure can still be booked, are judged here, so a page of the store may hold less than is asked for and
 * more are read until it is full.
 */
import { invalidInput } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Collection, Filter, Page } from '../../ports/store.ts';
import { fullPage } from '../pages.ts';
import type { VehicleClass } from '../roles.ts';
import type { DepartureStatus } from '../statuses.ts';
import { type Around, cellsAround, within } from './cover.ts';
import type { Departure } from './departure.ts';
import { bookingClosesAt } from './rules.ts';

export interface DepartureSearch {
  status?: DepartureStatus;
  /** Only those that can be booked now, with a seat free at least. */
  bookable?: boolean;
  driverId?: string;
  city?: string;
  toCity?: string;
  near?: Around;
  toNear?: Around;
  /** Epoch ms; default: now, where departures that have not begun are asked for. */
  departsFrom?: number;
  departsBefore?: number;
  seats?: number;
  vehicleClass?: VehicleClass;
  pageSize: number;
  pageToken?: string;
}

const TOKEN = /^(\d{1,15})\.(.{1,1000})$/;

export function createSearch(departures: Collection<Departure>, clock: Clock) {
  function filter(query: DepartureSearch, from: number): Filter {
    const { status, city, toCity, near, driverId, vehicleClass, departsBefore } = query;
    const seats = query.seats ?? (query.bookable ? 1 : undefined);
    const to = departsBefore === undefined ? {} : { lt: departsBefore };
    return {
      kind: 'scheduled',
      ...(query.bookable ? { status: 'scheduled' } : status ? { status } : {}),
      ...(driverId ? { driverId } : {}),
      ...(city ? { 'source.city': city } : {}),
      ...(toCity ? { 'destination.city': toCity } : {}),
      ...(near ? { 'source.cell': { in: cellsAround(near, near.radiusM) } } : {}),
      departureTime: { gte: from, ...to },
      ...(seats ? { seatsFree: { gte: seats } } : {}),
      ...(vehicleClass ? { vehicleClass } : {}),
    };
  }

  /** The first page fixes from when on, or the next would be of another query. */
  function startOf(query: DepartureSearch): { from: number; token?: string } {
    if (query.pageToken !== undefined) {
      const [, from, token] = TOKEN.exec(query.pageToken) ?? [];
      if (from === undefined || token === undefined || (query.departsFrom ?? Number(from)) !== Number(from))
        throw invalidInput('page_token', 'the next_page_token of the page before, with the same query');
      return { from: Number(from), token };
    }
    return { from: query.departsFrom ?? (query.bookable || query.status === 'scheduled' ? clock.now() : 0) };
  }

  /** By departure time. @throws RideError RIDE_INVALID_INPUT for a token of another query */
  return async function search(query: DepartureSearch): Promise<Page<Departure>> {
    const start = startOf(query);
    const where = filter(query, start.from);
    const keep = (d: Departure): boolean =>
      within(d.source, query.near) &&
      within(d.destination, query.toNear) &&
      (!query.bookable || bookingClosesAt(d) > clock.now());
    const part = { pageSize: query.pageSize, ...(start.token === undefined ? {} : { pageToken: start.token }) };
    const { items, nextPageToken: token } = await fullPage(part, keep, (more) =>
      departures.page({ where, orderBy: 'departureTime', direction: 'asc', ...more }),
    );
    return { items, ...(token === undefined ? {} : { nextPageToken: `${start.from}.${token}` }) };
  };
}
