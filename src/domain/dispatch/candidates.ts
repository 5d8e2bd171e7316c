/**
 * Who is near enough to be asked: available drivers in rings of H3 cells around the cell of the pick-up, one ring after the
 * other until there are enough. Trips of one cell share a search, so a window of many trips asks once for each cell.
 */
import { cellToBoundary, cellToLatLng, gridDiskDistances, gridDistance, latLngToCell } from 'h3-js';
import type { Position, Positions } from '../../ports/positions.ts';
import { distanceM, type LatLng } from '../geo.ts';

export interface RingSettings {
  /** H3 resolution of the cells; 8 is about a kilometre from centre to centre. */
  resolution: number;
  /** Farther drivers are not looked at, metres. */
  radiusM: number;
  /** Rings are added until so many drivers are found that may take the trip. */
  enough: number;
}

export interface Found {
  position: Position;
  /** 0 is the cell of the pick-up. */
  ring: number;
}

/** At first so many times `enough` are looked at, however crowded the cells are. */
const FIRST_LOOK = 4;
/** More are not looked at for one cell, whoever they are. */
const MOST_CANDIDATES = 5000;
/** Centres of neighbours are √3 radii apart; a little more, for cells differ in size and shape. */
const RING_WIDTH = 1.8;
const REACH = 1.1;
/** Between corners a disk of rings grows by 1.5 radii a ring; less where cells are squashed. */
const RING_ADVANCE = 1.2;

/** Cells whose shape is at hand: those of some large cities. */
const MOST_SHAPES = 20_000;

interface Shape {
  center: LatLng;
  /** From the centre to the farthest corner. */
  radiusM: number;
}

const shapes = new Map<string, Shape>();

/** Where a cell is and how large never changes, and is asked again and again of the same ones. */
function shapeOf(cell: string): Shape {
  let shape = shapes.get(cell);
  if (!shape) {
    const [lat, lng] = cellToLatLng(cell);
    const center = { lat, lng };
    const corners = cellToBoundary(cell).map(([y, x]) => distanceM(center, { lat: y, lng: x }));
    shape = { center, radiusM: Math.max(...corners) };
    if (shapes.size >= MOST_SHAPES) shapes.delete(shapes.keys().next().value!);
    shapes.set(cell, shape);
  }
  return shape;
}

/** How far ring `ring` reaches from the centre of `cell`, metres. */
function reachM(cell: string, ring: number): number {
  return (ring * RING_WIDTH + REACH) * shapeOf(cell).radiusM;
}

/** The ring with which all within `radiusM` of any place in `cell` is covered; at least 1. */
export function outermostRing(cell: string, radiusM: number): number {
  const { radiusM: cellM } = shapeOf(cell);
  return Math.max(1, Math.ceil((radiusM + cellM) / (RING_ADVANCE * cellM)));
}

/** The rings around a cell: of those who were found, for the disk of all cells is mostly empty ones. */
function ringsAround(cell: string, last: number): (other: string) => number {
  const known = new Map<string, number>();
  return (other) => {
    let ring = known.get(other);
    if (ring === undefined) {
      ring = ringOf(cell, other, last);
      known.set(other, ring);
    }
    return ring;
  };
}

/** Some ring beyond `last` when it is farther. */
function ringOf(cell: string, other: string, last: number): number {
  try {
    return gridDistance(cell, other);
  } catch {
    // Across one of the twelve pentagons it cannot be counted, only walked.
    const ring = gridDiskDistances(cell, last).findIndex((cells) => cells.includes(other));
    return ring < 0 ? last + 1 : ring;
  }
}

interface Disk {
  found: Found[];
  /** There are more than were asked for. */
  isCut: boolean;
}

/** A search that remembers the cells it has asked for: made for one decision, for drivers move. */
export function createRingSearch(positions: Positions, settings: RingSettings) {
  const disks = new Map<string, Promise<Disk>>();

  /** The available drivers of rings 0 to `ring` around `cell`, those nearest to its centre first, at most `limit`. */
  function disk(cell: string, ring: number, limit: number): Promise<Disk> {
    const key = `${cell}.${ring}.${limit}`;
    let found = disks.get(key);
    if (!found) {
      found = ask(cell, ring, limit);
      disks.set(key, found);
    }
    return found;
  }

  async function ask(cell: string, ring: number, limit: number): Promise<Disk> {
    const near = await positions.nearby(shapeOf(cell).center, reachM(cell, ring), limit);
    const ringAt = ringsAround(cell, ring);
    const found = near.flatMap(({ position }) => {
      const its = ringAt(latLngToCell(position.lat, position.lng, settings.resolution));
      return its > ring ? [] : [{ position, ring: its }];
    });
    return { found, isCut: near.length >= limit };
  }

  /**
   * Drivers around a pick-up, ring by ring, until `enough` of them may take the trip by `isFit` or the radius is searched. Those
   * who may not are returned too: they explain the decision, and must not hide who is behind them.
   */
  return async function around(pickup: LatLng, isFit: (position: Position) => boolean): Promise<Found[]> {
    const cell = latLngToCell(pickup.lat, pickup.lng, settings.resolution);
    const last = outermostRing(cell, settings.radiusM);
    let ring = 1;
    for (let limit = FIRST_LOOK * settings.enough; ; ) {
      const { found, isCut } = await disk(cell, ring, limit);
      const within = found.filter(({ position }) => distanceM(position, pickup) <= settings.radiusM);
      if (within.filter(({ position }) => isFit(position)).length >= settings.enough) return within;
      if (isCut && limit < MOST_CANDIDATES) limit = Math.min(MOST_CANDIDATES, 4 * limit);
      else if (isCut || ring >= last) return within;
      // Where nobody is, what lies between tells nothing more.
      else ring = found.length === 0 ? last : Math.min(last, 2 * ring);
    }
  };
}
