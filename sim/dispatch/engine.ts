/**
 * A city in virtual time for comparing dispatchers: real requests, drivers who go straight lines at one speed and always accept.
 * Every dispatcher meets the same requests and the same drivers; what differs is who is sent where.
 */
import { distanceM, type Point } from '../geo.ts';
import type { Trip } from '../trips-csv.ts';

export interface Driver {
  id: string;
  /** Where it stands, or where it will when it is free. */
  at: Point;
  freeAtMs: number;
  /** Since when it has had nothing to do. */
  idleSinceMs: number;
}

export interface Assignment {
  trip: Trip;
  driver: Driver;
}

export interface Situation {
  nowMs: number;
  waiting: readonly Trip[];
  /** All drivers; free are those whose `freeAtMs` has come. */
  drivers: readonly Driver[];
  /** Requests that nobody has made yet; only a clairvoyant may look. */
  future: readonly Trip[];
  city: CityOptions;
  etaS(from: Point, to: Point): number;
}

export interface Dispatcher {
  name: string;
  /** How often it decides. */
  everyMs: number;
  decide(situation: Situation): Assignment[];
}

export interface CityOptions {
  speedMps: number;
  detourFactor: number;
  /** A rider who has nobody after this gives up. */
  patienceMs: number;
}

export interface Result {
  name: string;
  requests: number;
  served: number;
  /** The driver's way to the pick-up, seconds. */
  etaS: number[];
  /** From the request to the pick-up, seconds. */
  waitS: number[];
  /** Share of driver time on the way to or with a rider, between the first request and the last. */
  utilisation: number;
}

export const isFree = (driver: Driver, nowMs: number): boolean => driver.freeAtMs <= nowMs;

interface Run {
  busyMs: number;
  untilMs: number;
  served: Set<Trip>;
  etaS: number[];
  waitS: number[];
}

/** Sends a driver; a defect of the dispatcher, who may send nobody twice, ends the run. */
function send(run: Run, { trip, driver }: Assignment, nowMs: number, etaS: number): void {
  if (run.served.has(trip)) throw new Error(`row ${trip.row} has two drivers`);
  if (!isFree(driver, nowMs)) throw new Error(`${driver.id} has two trips`);
  run.served.add(trip);
  const pickupMs = Math.max(trip.atMs, nowMs + etaS * 1000);
  run.etaS.push(etaS);
  run.waitS.push((pickupMs - trip.atMs) / 1000);
  driver.at = trip.dropoff;
  driver.freeAtMs = pickupMs + trip.durationS * 1000;
  driver.idleSinceMs = driver.freeAtMs;
  run.busyMs += Math.max(0, Math.min(driver.freeAtMs, run.untilMs) - nowMs);
}

/** Lives the requests through; `trips` are sorted by time. */
export function live(
  dispatcher: Dispatcher,
  trips: readonly Trip[],
  starts: readonly Point[],
  city: CityOptions,
): Result {
  const startMs = trips[0]!.atMs;
  const untilMs = trips.at(-1)!.atMs;
  const drivers = starts.map((at, i): Driver => ({ id: `driver-${i}`, at, freeAtMs: startMs, idleSinceMs: startMs }));
  const run: Run = { busyMs: 0, untilMs, served: new Set(), etaS: [], waitS: [] };
  const etaS = (from: Point, to: Point): number =>
    Math.round((distanceM(from, to) * city.detourFactor) / city.speedMps);
  let waiting: Trip[] = [];
  let next = 0;
  for (let nowMs = startMs; next < trips.length || waiting.length > 0; nowMs += dispatcher.everyMs) {
    while (next < trips.length && trips[next]!.atMs <= nowMs) waiting.push(trips[next++]!);
    waiting = waiting.filter((trip) => !run.served.has(trip) && nowMs - trip.atMs <= city.patienceMs);
    const future = trips.slice(next).filter((trip) => !run.served.has(trip));
    for (const assignment of dispatcher.decide({ nowMs, waiting, drivers, future, city, etaS })) {
      send(run, assignment, nowMs, etaS(assignment.driver.at, assignment.trip.pickup));
    }
    waiting = waiting.filter((trip) => !run.served.has(trip));
  }
  return {
    name: dispatcher.name,
    requests: trips.length,
    served: run.served.size,
    etaS: run.etaS,
    waitS: run.waitS,
    utilisation: run.busyMs / (drivers.length * Math.max(1, untilMs - startMs)),
  };
}
