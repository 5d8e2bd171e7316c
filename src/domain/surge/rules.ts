/**
 * Surge of a zone from what is there now: trips that wait, trips that waited in vain, drivers who could take one. Pure; the zones'
 * neighbourhood and the time come from outside. Smoothed twice, so that a price does not jump at a zone's border or with one
 * request: neighbours count in part, and the level moves towards its target with a half-life. Capped, and shown in steps.
 */
import { noSurge, type SurgeSnapshot } from '../pricing/rules.ts';

export interface SurgeSettings {
  /** Never more than this, thousandths. */
  capPermille: number;
  /** Demand over supply from which there is a surge. */
  threshold: number;
  /** What each unit of demand over supply beyond the threshold adds to the factor. */
  slope: number;
  /** With less demand than this, neighbours included, there is none. */
  minDemand: number;
  /** After this long half of a change has arrived, domain milliseconds. */
  halfLifeMs: number;
  /** How much of what neighbours have counts here, 0 to 1. */
  neighbourShare: number;
}

/** What was counted in one zone. */
export interface ZoneCount {
  /** The city that most of it belongs to. */
  city: string;
  /** Trips without a driver now. */
  waiting: number;
  /** Trips that got none, lately. */
  lost: number;
  /** Drivers available now. */
  drivers: number;
}

export interface ZoneSurge extends SurgeSnapshot, ZoneCount {
  /** The smoothed factor before it is capped to steps; the next one starts from it. */
  levelPermille: number;
}

/** All zones at one instant. */
export interface SurgeBoard {
  at: number;
  zones: Record<string, ZoneSurge>;
}

export const STEP_PERMILLE = 50;
const NONE = 1000;
/** A level this near to none, in a zone with nothing in it, is forgotten. */
const FORGET_BELOW = NONE + 1;
const EMPTY: ZoneCount = { city: '', waiting: 0, lost: 0, drivers: 0 };

/** What demand and supply ask for, thousandths, within the cap. */
export function targetPermille(demand: number, supply: number, settings: SurgeSettings): number {
  if (demand < settings.minDemand) return NONE;
  const excess = demand / Math.max(1, supply) - settings.threshold;
  if (excess <= 0) return NONE;
  return Math.min(settings.capPermille, Math.round(NONE + 1000 * settings.slope * excess));
}

/** Moves `level` towards `target`; after one half-life half of the way is done, however many steps it was done in. */
export function approach(level: number, target: number, elapsedMs: number, halfLifeMs: number): number {
  return target + (level - target) * 2 ** (-Math.max(0, elapsedMs) / halfLifeMs);
}

/** The level as it is shown and charged: whole steps, rounded down, between none and the cap. */
export function shownPermille(level: number, capPermille: number): number {
  // What an approach leaves below a step by the error of its arithmetic is that step.
  const steps = Math.floor((Math.min(level, capPermille) - NONE) / STEP_PERMILLE + 1e-6);
  return NONE + Math.max(0, steps) * STEP_PERMILLE;
}

/**
 * The board after `counts` were taken at `now`. A zone without counts keeps falling until its surge is gone.
 * @param neighboursOf the cells around a cell, without itself
 */
export function nextBoard(
  previous: SurgeBoard | null,
  counts: ReadonlyMap<string, ZoneCount>,
  now: number,
  settings: SurgeSettings,
  neighboursOf: (zone: string) => readonly string[],
): SurgeBoard {
  const zones: Record<string, ZoneSurge> = {};
  const elapsedMs = previous ? now - previous.at : 0;
  for (const zone of new Set([...counts.keys(), ...Object.keys(previous?.zones ?? {})])) {
    const own = counts.get(zone) ?? { ...EMPTY, city: previous!.zones[zone]!.city };
    let demand = own.waiting + own.lost;
    let supply = own.drivers;
    for (const neighbour of neighboursOf(zone)) {
      const there = counts.get(neighbour) ?? EMPTY;
      demand += settings.neighbourShare * (there.waiting + there.lost);
      supply += settings.neighbourShare * there.drivers;
    }
    const target = targetPermille(demand, supply, settings);
    const before = previous?.zones[zone]?.levelPermille ?? NONE;
    const levelPermille = approach(before, target, elapsedMs, settings.halfLifeMs);
    if (!counts.has(zone) && levelPermille < FORGET_BELOW) continue;
    const multiplierPermille = shownPermille(levelPermille, settings.capPermille);
    zones[zone] = { zone, ...own, demand, supply, targetPermille: target, levelPermille, multiplierPermille, at: now };
  }
  return { at: now, zones };
}

/** What a price says of its zone; none when the board is older than `staleMs` or does not know the zone. */
export function snapshotOf(board: SurgeBoard | null, zone: string, now: number, staleMs: number): SurgeSnapshot {
  const found = board && now - board.at <= staleMs ? board.zones[zone] : undefined;
  if (!found) return noSurge(zone);
  const { multiplierPermille, demand, supply, targetPermille: target, at } = found;
  return { zone, multiplierPermille, demand, supply, targetPermille: target, at };
}
