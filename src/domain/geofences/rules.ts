/**
 * Areas on the map and who crosses their edge. Pure. Within a city the earth is flat enough: distances to an edge are
 * taken in a plane around the place (error below 0.1 % at 10 km). Rings as in GeoJSON (RFC 7946): lng, lat, closed, the first of
 * a polygon its outline and the others holes; an area over the date line is cut there into two polygons (section 3.1.9).
 */
import type { LatLng } from '../geo.ts';

export type Pair = readonly [lng: number, lat: number];
export type Ring = readonly Pair[];

export interface Area {
  type: 'MultiPolygon';
  /** Polygons of rings. */
  coordinates: readonly (readonly Ring[])[];
}

export const MAX_POINTS = 5000;
const METRES_PER_DEGREE = 111_195;

/** The first rule that the area breaks, or null. */
export function areaViolation(area: Area): string | null {
  let points = 0;
  if (area.coordinates.length === 0) return 'at least one polygon';
  for (const rings of area.coordinates) {
    if (rings.length === 0) return 'polygons with an outline';
    for (const ring of rings) {
      points += ring.length;
      if (ring.length < 4) return 'rings of at least four positions';
      const [first, last] = [ring[0]!, ring.at(-1)!];
      if (first[0] !== last[0] || first[1] !== last[1]) return 'closed rings: the last position is the first';
      if (ring.some(([lng, lat]) => !(Math.abs(lng) <= 180 && Math.abs(lat) <= 90))) return 'lng, lat in degrees';
      const lngs = ring.map(([lng]) => lng);
      if (Math.max(...lngs) - Math.min(...lngs) > 180) return 'cut in two at the date line';
      if (Math.abs(signedArea(ring)) < 1e-12) return 'rings that hold an area';
    }
  }
  return points > MAX_POINTS ? `at most ${MAX_POINTS} positions` : null;
}

/** In square degrees, positive when counter-clockwise. */
export function signedArea(ring: Ring): number {
  let twice = 0;
  for (let i = 1; i < ring.length; i++) twice += ring[i - 1]![0] * ring[i]![1] - ring[i]![0] * ring[i - 1]![1];
  return twice / 2;
}

/** Even-odd rule (a ray to the east), so that holes are outside. */
export function contains(area: Area, { lat, lng }: LatLng): boolean {
  for (const rings of area.coordinates) {
    let isInside = false;
    for (const ring of rings) {
      for (let i = 1; i < ring.length; i++) {
        const [ax, ay] = ring[i - 1]!;
        const [bx, by] = ring[i]!;
        if (ay > lat !== by > lat && lng < ax + ((lat - ay) / (by - ay)) * (bx - ax)) isInside = !isInside;
      }
    }
    if (isInside) return true;
  }
  return false;
}

/** To the nearest edge, metres; inside as well as outside. */
export function edgeDistanceM(area: Area, { lat, lng }: LatLng): number {
  const scale = Math.cos((lat * Math.PI) / 180);
  let best = Number.POSITIVE_INFINITY;
  for (const rings of area.coordinates) {
    for (const ring of rings) {
      for (let i = 1; i < ring.length; i++) {
        const ax = (ring[i - 1]![0] - lng) * scale;
        const ay = ring[i - 1]![1] - lat;
        const dx = (ring[i]![0] - lng) * scale - ax;
        const dy = ring[i]![1] - lat - ay;
        const length = dx * dx + dy * dy;
        const along = length === 0 ? 0 : Math.min(1, Math.max(0, -(ax * dx + ay * dy) / length));
        best = Math.min(best, (ax + along * dx) ** 2 + (ay + along * dy) ** 2);
      }
    }
  }
  return Math.sqrt(best) * METRES_PER_DEGREE;
}

/**
 * One who was outside has entered as soon as he is inside; one who was inside has left only when he is `exitMarginM` beyond
 * the edge. So standing on the edge is one entry, whatever the receiver says.
 */
export function isNowInside(area: Area, wasInside: boolean, place: LatLng, exitMarginM: number): boolean {
  if (contains(area, place)) return true;
  return wasInside && edgeDistanceM(area, place) < exitMarginM;
}
