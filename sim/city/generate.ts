/**
 * The built-in city: a day of trips drawn from the figures. The same seed gives the same trips, and a slice of the day gives
 * the same trips as the whole day does, because each hour has its own stream of draws.
 */
import { distanceM, offset, type Point, roundPoint } from '../geo.ts';
import { chance, createDraw, cumulate, type Draw, drawNormal, pick } from '../random.ts';
import type { Trip } from '../trips-csv.ts';
import type { City, ZoneFigures } from './figures.ts';

const HOUR_MS = 3_600_000;
/** Nobody takes a taxi for less. */
const MIN_CROW_M = 250;
const MIN_DURATION_S = 60;
const MAX_DURATION_S = 2.5 * 3600;
const MAX_SPEED_MPS = 25;

/** Draws places of a city: where trips begin and end, and where free drivers go. */
export interface Places {
  pickup(draw: Draw): { zone: ZoneFigures; point: Point };
  dropoff(from: ZoneFigures, draw: Draw): Point;
}

export function createPlaces(city: City): Places {
  const { zones } = city.figures;
  const byId = new Map(zones.map((zone) => [zone.id, zone]));
  const pickupSums = cumulate(zones.map((zone) => zone.pickupShare));
  const dropoffSums = cumulate(zones.map((zone) => zone.dropoffShare));

  const pointIn = (zone: ZoneFigures, draw: Draw): Point => {
    for (let tries = 0; tries < 20; tries++) {
      // Each axis has its share of the mean square radius; far outliers of the bell are drawn again.
      const [east, north] = [drawNormal(draw), drawNormal(draw)].map((n) => (n * zone.radiusM) / Math.SQRT2) as [
        number,
        number,
      ];
      if (Math.hypot(east, north) > 2 * zone.radiusM) continue;
      const point = roundPoint(offset(zone, east, north));
      if (city.inside(point)) return point;
    }
    return roundPoint(zone);
  };

  return {
    pickup(draw) {
      const zone = zones[pick(pickupSums, draw())]!;
      return { zone, point: pointIn(zone, draw) };
    },
    dropoff(from, draw) {
      let at = draw();
      for (const [id, share] of from.dropoffs) {
        if (at < share) return pointIn(byId.get(id)!, draw);
        at -= share;
      }
      return pointIn(zones[pick(dropoffSums, draw())]!, draw);
    },
  };
}

export interface DayOptions {
  seed: number;
  tripsPerDay: number;
  /** Domain time, epoch milliseconds; trips from here (included) … */
  fromMs: number;
  /** … to here (not included). */
  untilMs: number;
}

/** Trips of the slice, sorted by time. `row` numbers them within their hour of the day: hour × 1,000,000 + index. */
export function generateTrips(city: City, { seed, tripsPerDay, fromMs, untilMs }: DayOptions): Trip[] {
  const places = createPlaces(city);
  const trips: Trip[] = [];
  for (let hourMs = Math.floor(fromMs / HOUR_MS) * HOUR_MS; hourMs < untilMs; hourMs += HOUR_MS) {
    const weekday = new Date(`${city.zone.dateAt(hourMs)}T00:00:00Z`).getUTCDay();
    const curve = city.figures.passengersByWeekdayHour[weekday]!;
    const share = curve[city.zone.hourAt(hourMs)]! / curve.reduce((sum, n) => sum + n, 0);
    const hour = Math.round(hourMs / HOUR_MS);
    const count = Math.floor(tripsPerDay * share + chance(seed, 'count', hour));
    const draw = createDraw(seed, 'hour', hour);
    for (let i = 0; i < count; i++) {
      const trip = drawTrip(city, places, draw, hourMs);
      trip.row = city.zone.hourAt(hourMs) * 1_000_000 + i;
      if (trip.atMs >= fromMs && trip.atMs < untilMs) trips.push(trip);
    }
  }
  return trips.sort((a, b) => a.atMs - b.atMs || a.row - b.row);
}

function drawTrip(city: City, places: Places, draw: Draw, hourMs: number): Trip {
  const atMs = hourMs + Math.floor(draw() * HOUR_MS);
  let crowM = 0;
  let pickup: Point;
  let dropoff: Point;
  do {
    const from = places.pickup(draw);
    pickup = from.point;
    dropoff = places.dropoff(from.zone, draw);
    crowM = distanceM(pickup, dropoff);
  } while (crowM < MIN_CROW_M);
  const meteredM = crowM * city.figures.detour;
  const speed = Math.min(
    MAX_SPEED_MPS,
    city.speedMps(atMs, meteredM) * Math.exp(drawNormal(draw) * city.figures.durationSpread),
  );
  const durationS = Math.round(Math.min(MAX_DURATION_S, Math.max(MIN_DURATION_S, meteredM / speed)));
  return { row: 0, atMs, pickup, dropoff, durationS, distanceM: Math.round(meteredM) };
}
