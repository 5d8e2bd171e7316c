/**
 * The shape of a city's figures, and the questions that the simulator asks of them. The figures are computed from public
 * data by compute-figures.ts; the data itself is not in the repository.
 */
import { readFileSync } from 'node:fs';
import { cellToParent, getResolution, latLngToCell } from 'h3-js';
import type { Point } from '../geo.ts';
import { createZone, type Zone } from '../local-time.ts';

export interface ZoneFigures {
  id: number;
  name: string;
  /** Mean of the sample's pick-ups and drop-offs in the zone; the outline's centroid where it has few. */
  lat: number;
  lng: number;
  /** Root mean square distance of those points from it. */
  radiusM: number;
  /** Share of all pick-ups. */
  pickupShare: number;
  /** Where trips from here go: zone id and share, the most frequent first; the rest go by the city's drop-off shares. */
  dropoffs: [id: number, share: number][];
  /** Share of all drop-offs. */
  dropoffShare: number;
}

export interface CityFigures {
  about: string;
  computedBy: string;
  sources: { name: string; licence: string; gave: string }[];
  city: string;
  timeZone: string;
  /** The day of the sample, and the day that the built-in city lives. */
  date: string;
  sampleTrips: number;
  /** Mean passengers of an hour, by weekday (0 is Sunday), then hour. */
  passengersByWeekdayHour: number[][];
  /** Median metered speed by hour of the day. */
  speedKmhByHour: number[];
  /** Median of a trip's speed over that of its hour, by metered distance from so many kilometres on: far trips take faster roads. */
  speedFactors: [fromKm: number, factor: number][];
  /** Median of metered over straight-line distance. */
  detour: number;
  /** Metered kilometres at the 0th, 5th, … 100th percentile. */
  distanceKmQuantiles: number[];
  /** How much durations vary: standard deviation of ln(speed / the speed of its hour and distance). */
  durationSpread: number;
  zones: ZoneFigures[];
  /** H3 cells that touch a zone, compacted; the finest have the resolution `cellResolution`. */
  cellResolution: number;
  cells: string[];
}

export interface City {
  figures: CityFigures;
  zone: Zone;
  /** Whether the point is in a cell that touches one of the city's zones: within about half a kilometre of one. */
  inside(point: Point): boolean;
  /** Typical driving speed, metres a second, at an instant; for a trip of `distanceM` metered metres if given. */
  speedMps(epochMs: number, distanceM?: number): number;
}

export const newYorkFile = new URL('./new-york.json', import.meta.url);

/** Reads figures from a file. Throws when it is not there or not JSON. */
export function loadCity(file: URL | string = newYorkFile): City {
  return createCity(JSON.parse(readFileSync(file, 'utf8')) as CityFigures);
}

export function createCity(figures: CityFigures): City {
  const cells = new Set(figures.cells);
  const coarsest = Math.min(...figures.cells.map(getResolution));
  const zone = createZone(figures.timeZone);
  return {
    figures,
    zone,
    inside({ lat, lng }) {
      const finest = latLngToCell(lat, lng, figures.cellResolution);
      for (let resolution = figures.cellResolution; resolution >= coarsest; resolution--) {
        if (cells.has(cellToParent(finest, resolution))) return true;
      }
      return false;
    },
    speedMps(epochMs, distanceM) {
      const speed = figures.speedKmhByHour[zone.hourAt(epochMs)]! / 3.6;
      if (distanceM === undefined) return speed;
      return speed * figures.speedFactors.findLast(([fromKm]) => distanceM / 1000 >= fromKm)![1];
    },
  };
}
