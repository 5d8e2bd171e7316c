/**
 * Tracks: every position of a trip that is on, gathered for some seconds and written in one go; of drivers on no trip one in
 * LOCATION_SAMPLE, and all while they have an open SOS, under the driver's own id. What is stored is raw; what is read is cleansed unless the caller wants it raw.
 */
import { RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { TrackPoint, TrackStore } from '../../ports/store.ts';
import { type AnyTrip, isDeparture } from '../departures/departure.ts';
import { isPassenger } from '../departures/rules.ts';
import { isOperator, type Principal } from '../roles.ts';
import { isTerminal } from '../statuses.ts';
import type { Trips } from '../trips/service.ts';
import { type Cleansed, type CleansingState, cleanse, freshState } from './rules.ts';

export interface TracksDeps {
  tracks: TrackStore;
  trips: Pick<Trips, 'follow'>;
  clock: Clock;
  log: Logger;
}

export interface TrackPage extends Cleansed<TrackPoint> {
  trip: AnyTrip;
  nextPageToken?: string;
}

/** Points of one subject that wait to be written; while the store is away longer, the oldest are lost and counted. */
const WAITING_MAX = 5000;
/** Points of one write, so that the store is not kept from others for long. */
const WRITTEN_TOGETHER = 2000;
const HOUR_MS = 3_600_000;
/** Positions are measured before they are sent, and sent before a trip's end is known. */
const MARGIN_MS = 10 * 60_000;

export type Tracks = ReturnType<typeof createTracks>;

export function createTracks({ tracks, trips, clock, log }: TracksDeps) {
  let waiting = new Map<string, TrackPoint[]>();
  let writing: Promise<void> | null = null;
  let lost = 0;

  function keep(subjectId: string, point: TrackPoint): void {
    const points = waiting.get(subjectId);
    if (!points) waiting.set(subjectId, [point]);
    else if (points.length < WAITING_MAX) points.push(point);
    else {
      points.shift();
      points.push(point);
      lost++;
    }
  }

  async function write(batch: Map<string, TrackPoint[]>): Promise<void> {
    let failed: unknown = null;
    for (const part of partsOf(batch)) failed = (await append(part)) ?? failed;
    if (failed)
      log.warn({ err: failed, subjects: waiting.size, lost }, 'tracks not written; they wait for the next time');
  }

  /** Puts back what cannot be written; why, or null. */
  async function append(part: Part): Promise<unknown> {
    try {
      await tracks.append(new Map(part));
      return null;
    } catch (error) {
      const isAway = error instanceof RideError && error.code === 'RIDE_UNAVAILABLE';
      if (isAway || part.length === 1) {
        for (const [id, points] of part) putBack(id, points);
        return error;
      }
      // What is wrong with one subject keeps no other from its place.
      for (const one of part) await append([one]);
      return error;
    }
  }

  function putBack(id: string, points: readonly TrackPoint[]): void {
    const all = [...points, ...(waiting.get(id) ?? [])];
    lost += Math.max(0, all.length - WAITING_MAX);
    waiting.set(id, all.slice(-WAITING_MAX));
  }

  /** Writes what waits by now. Resolves when it is over, whatever became of it; one write at a time. */
  async function flush(): Promise<void> {
    if (writing) await writing;
    await begin();
  }

  function begin(): Promise<void> {
    if (writing) return writing;
    if (waiting.size === 0) return Promise.resolve();
    const batch = waiting;
    waiting = new Map();
    writing = write(batch).finally(() => {
      writing = null;
    });
    return writing;
  }

  /** When it may have begun: a driver sees a ride's from when he took it; a departure is published long before there is any. */
  function beginOf(principal: Principal, trip: AnyTrip): number {
    if (isDeparture(trip)) return (trip.arrivedAt ?? clock.now()) - MARGIN_MS;
    const own = !isOperator(principal.role) && trip.driverId === principal.userId ? trip.matchedAt : undefined;
    return own ?? trip.createdAt - MARGIN_MS;
  }

  /** What a caller may see of a trip's track. */
  function windowOf(principal: Principal, trip: AnyTrip): { fromMs: number; toMs: number } {
    const end = trip.completedAt ?? trip.cancelledAt ?? trip.expiredAt;
    return {
      fromMs: beginOf(principal, trip),
      toMs: (isTerminal(trip.status) && end !== undefined ? end : clock.now()) + MARGIN_MS,
    };
  }

  /** At most `count` points from `fromMs` on, an hour at a time: a long trip is never read whole for its first page. */
  async function read(tripId: string, fromMs: number, toMs: number, count: number): Promise<TrackPoint[]> {
    const found: TrackPoint[] = [];
    for (let from = fromMs; from < toMs && found.length < count; ) {
      const to = Math.min(toMs, (Math.floor(from / HOUR_MS) + 1) * HOUR_MS);
      found.push(...(await tracks.read(tripId, from, to)));
      from = to;
    }
    return found.slice(0, count);
  }

  return {
    keep,
    flush,
    /** Points that could not be kept since the start. */
    lost: (): number => lost,
    /** Subjects whose points wait. */
    waiting: (): number => waiting.size,

    /**
     * A page of a trip's track, oldest first: `pageSize` raw points, of which the page holds what cleansing keeps.
     * @throws RideError RIDE_NOT_FOUND, RIDE_FORBIDDEN, RIDE_INVALID_INPUT (page_token), RIDE_UNAVAILABLE
     */
    async ofTrip(
      principal: Principal,
      tripId: string,
      query: { isRaw: boolean; pageSize: number; pageToken?: string },
    ): Promise<TrackPage> {
      const trip = await trips.follow(principal, tripId);
      const { userId, role } = principal;
      const isParty =
        trip.riderId === userId || trip.driverId === userId || (isDeparture(trip) && isPassenger(trip, userId));
      if (!isParty && !isOperator(role)) {
        throw new RideError('RIDE_FORBIDDEN', 'The track is for who rides and who drives the trip', {
          field: 'trip_id',
          rule: 'a trip of the caller',
        });
      }
      const place = query.pageToken === undefined ? null : fromToken(query.pageToken);
      const { fromMs, toMs } = windowOf(principal, trip);
      // What this node has gathered and not yet written belongs to the answer.
      if (waiting.has(tripId) || writing) await flush();
      const begin = Math.max(fromMs, place?.fromMs ?? fromMs);
      const points = await read(tripId, begin, toMs, query.pageSize + 1);
      const page = points.slice(0, query.pageSize);
      const state = place?.state ?? freshState();
      const { kept, dropped } = query.isRaw
        ? { kept: page, dropped: { late: 0, duplicate: 0, inaccurate: 0, jump: 0 } }
        : cleanse(page, state);
      const isMore = points.length > query.pageSize;
      return { trip, kept, dropped, ...(isMore ? { nextPageToken: toToken(page.at(-1)!.at + 1, state) } : {}) };
    },
  };
}

type Part = [subjectId: string, points: TrackPoint[]][];

/** In the order of the subjects: neighbours share pages of the store. */
function* partsOf(batch: Map<string, TrackPoint[]>): Iterable<Part> {
  let part: Part = [];
  let points = 0;
  for (const track of [...batch].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (points > 0 && points + track[1].length > WRITTEN_TOGETHER) {
      yield part;
      part = [];
      points = 0;
    }
    part.push(track);
    points += track[1].length;
  }
  yield part;
}

/** Where the next page begins, and what cleansing knows by then. */
function toToken(fromMs: number, state: CleansingState): string {
  const fix = (f: CleansingState['last']) => f && [f.at, f.lat, f.lng, f.accuracyM ?? null];
  return Buffer.from(JSON.stringify([fromMs, fix(state.last), fix(state.suspect), state.agreeing])).toString(
    'base64url',
  );
}

function fromToken(token: string): { fromMs: number; state: CleansingState } {
  const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
  const fix = (value: unknown): CleansingState['last'] => {
    if (value === null) return null;
    const [at, lat, lng, accuracyM] = value as unknown[];
    if (!isNumber(at) || !isNumber(lat) || !isNumber(lng)) throw new TypeError('not a fix');
    return { at, lat, lng, ...(isNumber(accuracyM) ? { accuracyM } : {}) };
  };
  try {
    const [fromMs, last, suspect, agreeing] = JSON.parse(Buffer.from(token, 'base64url').toString()) as unknown[];
    if (!isNumber(fromMs) || !isNumber(agreeing)) throw new TypeError('not a place');
    return { fromMs, state: { last: fix(last), suspect: fix(suspect), agreeing } };
  } catch (cause) {
    const rule = 'the next_page_token of a page';
    throw new RideError('RIDE_INVALID_INPUT', `page_token must be ${rule}`, { field: 'page_token', rule, cause });
  }
}
