/**
 * Surge over the ports: one node counts what waits and who is there, and keeps the board in Redis; every node prices by the board as
 * it last read it. When the board is old or Redis is away there is no surge: a price is never raised on what is not known.
 */
import { gridDisk } from 'h3-js';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { MoneyMeter } from '../../ports/money-meter.ts';
import type { Collection, Filter } from '../../ports/store.ts';
import type { Supply } from '../../ports/supply.ts';
import type { SurgeBoards } from '../../ports/surge-boards.ts';
import type { SurgeSnapshot } from '../pricing/rules.ts';
import type { Trip } from '../trips/trip.ts';
import { nextBoard, type SurgeBoard, type SurgeSettings, snapshotOf, type ZoneCount, type ZoneSurge } from './rules.ts';

export interface SurgeDeps {
  trips: Collection<Trip>;
  supply: Supply;
  boards: SurgeBoards;
  clock: Clock;
  settings: SurgeSettings & {
    /** How often the board is computed, domain ms; older than a few of these it no longer counts. */
    intervalMs: number;
    /** How long a trip that found no driver counts as demand, domain ms. */
    windowMs: number;
  };
  /** Older positions are no supply, domain ms. */
  freshnessMs: number;
  zoneOf(lat: number, lng: number): string;
  log: Logger;
  meter: MoneyMeter;
}

/** A board that missed this many turns does not count. */
const TURNS_UNTIL_STALE = 6;
/** A node's copy of the board is good for this part of the interval. */
const READS_A_TURN = 4;

const neighboursOf = (zone: string): string[] => gridDisk(zone, 1).filter((cell) => cell !== zone);

export type Surge = ReturnType<typeof createSurge>;

export function createSurge(deps: SurgeDeps) {
  const { trips, supply, boards, clock, settings, log } = deps;
  const staleMs = TURNS_UNTIL_STALE * settings.intervalMs;
  let board: SurgeBoard | null = null;
  let readAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | null = null;

  /** Everything that is there now, by zone. */
  async function count(now: number): Promise<Map<string, ZoneCount>> {
    const counts = new Map<string, ZoneCount>();
    const cities = new Map<string, Map<string, number>>();
    const add = (zone: string, city: string, what: 'waiting' | 'lost' | 'drivers', more = 1): void => {
      let zoneCount = counts.get(zone);
      if (!zoneCount) {
        zoneCount = { city, waiting: 0, lost: 0, drivers: 0 };
        counts.set(zone, zoneCount);
        cities.set(zone, new Map());
      }
      zoneCount[what] += more;
      const of = cities.get(zone)!;
      of.set(city, (of.get(city) ?? 0) + more);
      if (of.get(city)! > (of.get(zoneCount.city) ?? 0)) zoneCount.city = city;
    };
    const addAll = async (what: 'waiting' | 'lost', where: Filter): Promise<void> => {
      const tallies = await trips.tally(where, ['source.zone', 'source.city']);
      for (const { values, count } of tallies) add(...(values as [zone: string, city: string]), what, count);
    };
    for (const status of ['requested', 'offered']) {
      // A ride for later wants nobody yet.
      await addAll('waiting', { status, matchFrom: { lte: now } });
    }
    await addAll('lost', { status: 'expired', updatedAt: { gt: now - settings.windowMs } });
    for (const { lat, lng, city, recordedAt } of await supply.available()) {
      if (now - recordedAt <= deps.freshnessMs) add(deps.zoneOf(lat, lng), city, 'drivers');
    }
    return counts;
  }

  async function read(): Promise<void> {
    try {
      board = await boards.read();
      readAt = clock.now();
    } catch (error) {
      // Prices go on without a surge once the copy at hand is stale.
      log.warn({ err: error }, 'the surge board cannot be read');
      readAt = clock.now();
    } finally {
      reading = null;
    }
  }

  async function current(): Promise<SurgeBoard | null> {
    if (clock.now() - readAt >= settings.intervalMs / READS_A_TURN) {
      reading ??= read();
      await reading;
    }
    return board && clock.now() - board.at <= staleMs ? board : null;
  }

  return {
    /** Counts and computes the board anew, for all nodes. @throws RideError RIDE_UNAVAILABLE */
    async refresh(): Promise<SurgeBoard> {
      const spentS = deps.meter.stopwatch();
      const previous = await boards.read();
      const now = clock.now();
      // After a gap the old levels mean nothing: begin from none.
      const basis = previous && now - previous.at <= staleMs ? previous : null;
      const next = nextBoard(basis, await count(now), now, settings, neighboursOf);
      if (await boards.save(next, Math.max(1000, clock.toWallMs(staleMs)))) {
        board = next;
        readAt = now;
      }
      const raised = Object.values(next.zones).filter(({ multiplierPermille }) => multiplierPermille > 1000);
      const highest = raised.reduce((most, zone) => Math.max(most, zone.multiplierPermille), 1000);
      deps.meter.surge(raised.length, highest, spentS());
      return next;
    },

    /** What a trip from `zone` has to pay now. Never fails: what is not known is no surge. */
    async at(zone: string): Promise<SurgeSnapshot> {
      return snapshotOf(await current(), zone, clock.now(), staleMs);
    },

    /** Zones in which something is or was lately, by cell; all cities when none is named. */
    async zones(city?: string): Promise<{ at: number | null; zones: ZoneSurge[] }> {
      const now = await current();
      const zones = Object.values(now?.zones ?? {}).filter((zone) => city === undefined || zone.city === city);
      return { at: now?.at ?? null, zones: zones.sort((a, b) => (a.zone < b.zone ? -1 : 1)) };
    },
  };
}
