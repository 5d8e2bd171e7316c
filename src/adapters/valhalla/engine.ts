/**
 * Valhalla over its HTTP API, services `sources_to_targets` in its concise form and `route`. One place without a road spoils the answer for
 * all that were asked with it (error 171), so then the question is halved until it is found.
 */
import type { LatLng } from '../../domain/geo.ts';
import { decodePolyline } from '../../domain/polyline.ts';
import type { RoadLeg, RoadLine, RoutingEngine } from '../../ports/routing.ts';
import { away, createAsk, type EngineAddress } from '../routing/http.ts';
import { inParts, toLeg, toLine } from '../routing/parts.ts';

export interface ValhallaOptions extends EngineAddress {
  /** The costing model: auto, taxi, bicycle … */
  costing: string;
  /** Origins in one request; Valhalla's own limit is max_matrix_location_pairs. */
  batch: number;
  /** Places farther from every road have no way, metres. */
  maxSnapM: number;
}

const NAME = 'valhalla';
/** Of Valhalla's error codes: no road near a place; places that no road joins; farther apart than its limit. */
const NO_EDGE = 171;
const NO_WAY: ReadonlySet<unknown> = new Set([154, 170, NO_EDGE, 442]);
const METRES_PER_KM = 1000;

interface Matrix {
  sources_to_targets?: { durations?: (number | null)[][]; distances?: (number | null)[][] };
  error_code?: number;
  error?: string;
}

interface Trip {
  trip?: { legs?: { shape?: string; summary?: { time?: number; length?: number } }[] };
  error_code?: number;
  error?: string;
}

/** Decimals of Valhalla's polylines. */
const SHAPE_DECIMALS = 6;

export function createValhallaEngine(options: ValhallaOptions): RoutingEngine {
  const { costing, batch, maxSnapM } = options;
  const ask = createAsk(NAME, options);
  const place = ({ lat, lng }: LatLng) => ({ lat, lon: lng, search_cutoff: maxSnapM });

  const matrix = (from: readonly LatLng[], to: LatLng): Promise<object> =>
    ask('/sources_to_targets', {
      sources: from.map(place),
      targets: [place(to)],
      costing,
      units: 'kilometers',
      verbose: false,
    });

  /** Undefined: one of them cannot be asked about, and it is not said which. */
  async function tryAll(from: readonly LatLng[], to: LatLng): Promise<(RoadLeg | null)[] | undefined> {
    const { sources_to_targets: table, error_code, error }: Matrix = await matrix(from, to);
    if (NO_WAY.has(error_code)) return from.length === 1 ? [null] : undefined;
    try {
      if (!table) throw new Error(`${error_code}: ${error}`);
      const { durations, distances } = table;
      if (durations?.length !== from.length || distances?.length !== from.length)
        throw new Error(`a table of other than ${from.length} rows`);
      return from.map((_, i) => {
        const distanceKm = distances[i]![0];
        return toLeg(durations[i]![0], typeof distanceKm === 'number' ? distanceKm * METRES_PER_KM : distanceKm);
      });
    } catch (cause) {
      throw away(NAME, cause);
    }
  }

  async function legs(from: readonly LatLng[], to: LatLng, isTargetGood = false): Promise<(RoadLeg | null)[]> {
    const answer = await tryAll(from, to);
    if (answer) return answer;
    // Halving to the end for a target that nothing reaches would ask about every origin for nothing.
    if (!isTargetGood && (await tryAll([to], to))![0] === null) return from.map(() => null);
    const half = Math.ceil(from.length / 2);
    const parts = [from.slice(0, half), from.slice(half)];
    return (await Promise.all(parts.map((part) => legs(part, to, true)))).flat();
  }

  async function lineTo(from: LatLng, to: LatLng): Promise<RoadLine | null> {
    const question = { locations: [place(from), place(to)], costing, units: 'kilometers', directions_type: 'none' };
    const { trip, error_code, error }: Trip = await ask('/route', question);
    if (NO_WAY.has(error_code)) return null;
    try {
      const [leg] = trip?.legs ?? [];
      if (!leg?.shape || !leg.summary) throw new Error(`${error_code}: ${error}`);
      const { time, length = Number.NaN } = leg.summary;
      return toLine(time, length * METRES_PER_KM, decodePolyline(leg.shape, SHAPE_DECIMALS));
    } catch (cause) {
      throw away(NAME, cause);
    }
  }

  return { name: NAME, lineTo, legsTo: (from, to) => inParts(from, batch, (part) => legs(part, to)) };
}
