/**
 * Which geofences are near a place, by H3 cells: one look-up in a map for a driver who is near none, however many there are.
 * A cell that lies wholly inside an area needs no geometry either.
 */
import { latLngToCell, POLYGON_TO_CELLS_FLAGS, polygonToCellsExperimental } from 'h3-js';
import type { Geofence } from './geofence.ts';
import { type Area, contains, isNowInside } from './rules.ts';

/** Cells of 0.7 km²: a few hundred for a city, one for a station. */
export const COVER_RESOLUTION = 8;
/** Cells of one geofence: 15,000 km². */
export const MAX_CELLS = 20_000;
/** What is larger than this is refused before its cells are counted: square degrees, as a box. */
const MAX_BOX_DEGREES = 4;

type Loops = number[][][];
const loopsOf = (area: Area): Loops[] =>
  area.coordinates.map((rings) => rings.map((ring) => ring.map(([lng, lat]) => [lng, lat])));

/** Cells that the area touches; null when they are too many. */
export function coverOf(area: Area): Set<string> | null {
  const cells = new Set<string>();
  let counted = 0;
  for (const loops of loopsOf(area)) {
    const [lngs, lats] = [0, 1].map((axis) => loops[0]!.map((pair) => pair[axis]!)) as [number[], number[]];
    if ((Math.max(...lngs) - Math.min(...lngs)) * (Math.max(...lats) - Math.min(...lats)) > MAX_BOX_DEGREES)
      return null;
    const { containmentOverlapping } = POLYGON_TO_CELLS_FLAGS;
    const found = polygonToCellsExperimental(loops, COVER_RESOLUTION, containmentOverlapping, true);
    for (const cell of found) cells.add(cell);
    // Polygons that lie on each other cost as those side by side do, in every node.
    counted += found.length;
    if (counted > MAX_CELLS) return null;
  }
  return cells;
}

function fullCellsOf(area: Area): Set<string> {
  const { containmentFull } = POLYGON_TO_CELLS_FLAGS;
  return new Set(
    loopsOf(area).flatMap((loops) => polygonToCellsExperimental(loops, COVER_RESOLUTION, containmentFull, true)),
  );
}

interface Entry {
  fence: Geofence;
  isFull: boolean;
}

const NONE: readonly Entry[] = [];

export class FenceIndex {
  readonly #fences = new Map<string, { fence: Geofence; cells: ReadonlySet<string> }>();
  readonly #byCell = new Map<string, Entry[]>();
  /** The newest version of each that was ever seen, also of removed ones. */
  readonly #versions = new Map<string, number>();

  get size(): number {
    return this.#fences.size;
  }

  get cells(): number {
    return this.#byCell.size;
  }

  fence(id: string): Geofence | undefined {
    return this.#fences.get(id)?.fence;
  }

  /** Adds it, replaces an older version of it, or takes it out when it is removed. */
  put(fence: Geofence): void {
    if ((this.#versions.get(fence.id) ?? 0) >= fence.version) return;
    this.#versions.set(fence.id, fence.version);
    this.#take(fence.id);
    if (fence.isRemoved) return;
    const cells = coverOf(fence.area) ?? new Set<string>();
    const full = fullCellsOf(fence.area);
    this.#fences.set(fence.id, { fence, cells });
    for (const cell of cells) {
      const entry = { fence, isFull: full.has(cell) };
      const entries = this.#byCell.get(cell);
      if (entries) entries.push(entry);
      else this.#byCell.set(cell, [entry]);
    }
  }

  #take(id: string): void {
    for (const cell of this.#fences.get(id)?.cells ?? []) {
      const rest = this.#byCell.get(cell)!.filter(({ fence }) => fence.id !== id);
      if (rest.length > 0) this.#byCell.set(cell, rest);
      else this.#byCell.delete(cell);
    }
    this.#fences.delete(id);
  }

  #near(lat: number, lng: number): readonly Entry[] {
    if (this.#byCell.size === 0) return NONE;
    return this.#byCell.get(latLngToCell(lat, lng, COVER_RESOLUTION)) ?? NONE;
  }

  /** Geofences that a place is in, for one question: no memory of where one was. */
  at(lat: number, lng: number): Geofence[] {
    return this.#near(lat, lng)
      .filter(({ fence, isFull }) => isFull || contains(fence.area, { lat, lng }))
      .map(({ fence }) => fence);
  }

  /**
   * What changes for someone who was in `inside` (ids) and is now at this place. Null when nothing does, which is the answer for
   * nearly everyone, without garbage.
   */
  crossed(
    inside: ReadonlyMap<string, number> | null,
    lat: number,
    lng: number,
  ): { entered: Geofence[]; left: string[] } | null {
    const near = this.#near(lat, lng);
    if (near === NONE && !inside?.size) return null;
    const entered: Geofence[] = [];
    const left: string[] = [];
    for (const { fence, isFull } of near) {
      if (inside?.has(fence.id)) continue;
      if (isFull || contains(fence.area, { lat, lng })) entered.push(fence);
    }
    for (const id of inside?.keys() ?? []) {
      const fence = this.fence(id);
      // Drawn at another node a moment ago: to be heard of.
      if (!fence && !this.#versions.has(id)) continue;
      // Near means within the cover; beyond it only the margin can hold him.
      if (fence && isNowInside(fence.area, true, { lat, lng }, fence.exitMarginM)) continue;
      left.push(id);
    }
    return entered.length > 0 || left.length > 0 ? { entered, left } : null;
  }
}
