/** Real trips with what a routing engine and the straight line say of each. */
import { open, readFile } from 'node:fs/promises';
import { createZone } from '../../sim/local-time.ts';
import { POINT_EVERY_S, readTraces } from '../../sim/porto/traces.ts';
import { readTripsFile } from '../../sim/trips-csv.ts';
import { createOsrmEngine } from '../../src/adapters/osrm/engine.ts';
import type { LatLng } from '../../src/domain/geo.ts';
import type { Way } from '../../src/domain/routing/rules.ts';
import { straightLine, toWay } from '../../src/domain/routing/service.ts';
import type { RoadLeg } from '../../src/ports/routing.ts';
import { startOsrm } from '../../test/servers/osrm.ts';
import type { EtaOptions } from './options.ts';

/** The server's defaults. */
const TRAVEL = { detourFactor: 1.35, averageSpeedMps: 6 };
const MAX_SNAP_M = 500;
const AT_ONCE = 4;
/** Shorter is no ride, by the same rule in every file. */
const LEAST_S = 30;

interface Ride {
  /** In the file; the header is 1. */
  row: number;
  pickup: LatLng;
  dropoff: LatLng;
  atMs: number;
  durationS: number;
}

export interface Driven extends Ride {
  road: Way;
  straight: Way;
}

export interface Read {
  driven: Driven[];
  read: number;
  refused: number;
}

/** `after` is told what to run in the end. Throws where there is no OSRM to be had. */
export async function readDriven(
  { trips, map, timeZone }: Pick<EtaOptions, 'trips' | 'map' | 'timeZone'>,
  after: (ending: () => unknown) => void,
): Promise<Read> {
  await readFile(map);
  const { rides, refused } = (await isTraces(trips)) ? await tracesOf(trips) : await tripsOf(trips, timeZone);
  const server = await startOsrm({ after }, map);
  if ('skip' in server) throw new Error(server.skip);
  const engine = createOsrmEngine({
    url: server.url,
    profile: 'driving',
    timeoutMs: 10_000,
    maxInFlight: AT_ONCE,
    batch: 99,
    maxSnapM: MAX_SNAP_M,
    meter: { asked() {} },
  });
  const driven: Driven[] = [];
  const next = rides.values();
  const lane = async (): Promise<void> => {
    for (const ride of next) {
      const { pickup, dropoff, atMs } = ride;
      const [leg] = await engine.legsTo([pickup], dropoff, atMs);
      if (!leg || leg.durationS === 0) continue;
      const way = (base: RoadLeg): Way => toWay(pickup, dropoff, atMs, base);
      driven.push({ ...ride, road: way(leg), straight: way(straightLine(pickup, dropoff, TRAVEL)) });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return { driven, read: rides.length, refused };
}

async function isTraces(file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    for await (const header of handle.readLines()) return header.includes('POLYLINE');
    return false;
  } finally {
    await handle.close();
  }
}

async function tripsOf(file: string, timeZone: string): Promise<{ rides: Ride[]; refused: number }> {
  const rides: Ride[] = [];
  let refused = 0;
  for await (const { trip } of readTripsFile(file, { zone: createZone(timeZone), inside: () => true })) {
    if (trip) rides.push(trip);
    else refused++;
  }
  return { rides, refused };
}

/** A trace that ends where it began is a round: nobody asks for an estimate of that. */
async function tracesOf(file: string): Promise<{ rides: Ride[]; refused: number }> {
  const { traces, refusals } = await readTraces(file);
  const rides = traces
    .filter(({ points, dropoff }) => dropoff === points.at(-1))
    .map(({ row, points, dropoff, atMs }) => ({
      row,
      pickup: points[0]!,
      dropoff,
      atMs,
      durationS: (points.length - 1) * POINT_EVERY_S,
    }))
    .filter(({ durationS }) => durationS > LEAST_S);
  return { rides, refused: refusals.length + traces.length - rides.length };
}
