/**
 * OSRM over its HTTP API (docs/http.md of osrm-backend, services `table` and `route`): free-flow times by the profile its map was prepared
 * with. It moves every place to the nearest road however far that is, so how far is checked here.
 */
import type { LatLng } from '../../domain/geo.ts';
import type { RoadLeg, RoadLine, RoutingEngine } from '../../ports/routing.ts';
import { away, createAsk, type EngineAddress } from '../routing/http.ts';
import { degrees, inParts, toLeg, toLine } from '../routing/parts.ts';

export interface OsrmOptions extends EngineAddress {
  /** In the path of every request; osrm-routed itself does not look at it, a proxy before it may. */
  profile: string;
  /** Origins in one request; osrm-routed refuses more than its --max-table-size (100 by default). */
  batch: number;
  /** Places farther from every road have no way, metres. */
  maxSnapM: number;
}

/** Answer of `route`. */
interface Route {
  code: string;
  message?: string;
  routes: { duration: number; distance: number; geometry: { coordinates: [number, number][] } }[];
  waypoints: Waypoint[];
}

interface Waypoint {
  /** From the place to the road it was moved to, metres. */
  distance: number;
}

/** Answer of `table`; https://project-osrm.org/docs/ */
interface Table {
  code: string;
  message?: string;
  durations: (number | null)[][];
  distances: (number | null)[][];
  sources: Waypoint[];
  destinations: Waypoint[];
}

const NAME = 'osrm';

export function createOsrmEngine(options: OsrmOptions): RoutingEngine {
  const { profile, batch, maxSnapM } = options;
  const ask = createAsk(NAME, options);

  async function table(from: readonly LatLng[], to: LatLng): Promise<(RoadLeg | null)[]> {
    const places = [...from, to].map(({ lat, lng }) => `${degrees(lng)},${degrees(lat)}`).join(';');
    const sources = from.map((_, i) => i).join(';');
    const query = `sources=${sources}&destinations=${from.length}&annotations=duration,distance&generate_hints=false`;
    const answer: Partial<Table> = await ask(`/table/v1/${encodeURIComponent(profile)}/${places}?${query}`);
    // No road anywhere near: an answer, not a failure.
    if (answer.code === 'NoSegment' || answer.code === 'NoTable') return from.map(() => null);
    try {
      return readTable(answer, from.length);
    } catch (cause) {
      throw away(NAME, cause);
    }
  }

  function readTable({ code, message, durations, distances, sources, destinations }: Partial<Table>, rows: number) {
    if (code !== 'Ok') throw new Error(`${code}: ${message}`);
    const isWhole = [durations, distances, sources].every((list) => Array.isArray(list) && list.length === rows);
    if (!isWhole || destinations?.length !== 1) throw new Error(`a table of other than ${rows} rows`);
    const reachesTo = destinations[0]!.distance <= maxSnapM;
    return sources!.map(({ distance }, i) =>
      reachesTo && distance <= maxSnapM ? toLeg(durations![i]![0], distances![i]![0]) : null,
    );
  }

  async function lineTo(from: LatLng, to: LatLng): Promise<RoadLine | null> {
    const places = [from, to].map(({ lat, lng }) => `${degrees(lng)},${degrees(lat)}`).join(';');
    const query = 'overview=simplified&geometries=geojson&steps=false&generate_hints=false';
    const answer: Partial<Route> = await ask(`/route/v1/${encodeURIComponent(profile)}/${places}?${query}`);
    if (answer.code === 'NoSegment' || answer.code === 'NoRoute') return null;
    try {
      const { code, message, routes, waypoints } = answer;
      if (code !== 'Ok' || !routes?.[0] || waypoints?.length !== 2) throw new Error(`${code}: ${message}`);
      if (waypoints.some(({ distance }) => distance > maxSnapM)) return null;
      const { duration, distance, geometry } = routes[0];
      const points = geometry.coordinates.map(([lng, lat]) => ({ lat, lng }));
      return toLine(duration, distance, points);
    } catch (cause) {
      throw away(NAME, cause);
    }
  }

  return { name: NAME, lineTo, legsTo: (from, to) => inParts(from, batch, (part) => table(part, to)) };
}
