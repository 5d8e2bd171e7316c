/** Zone outlines from GeoJSON, for computing figures: which zone holds a point, where its centroid is. */
import type { Point } from '../geo.ts';

type Ring = [lng: number, lat: number][];

export interface Outline {
  id: number;
  name: string;
  /** GeoJSON order: lng, lat; the first ring is the shore, the others are holes. */
  polygons: Ring[][];
}

interface Feature {
  properties: { LocationID: number; zone: string };
  geometry: { type: 'Polygon'; coordinates: Ring[] } | { type: 'MultiPolygon'; coordinates: Ring[][] };
}

/** The zones of a FeatureCollection with the taxi commission's properties, by id. */
export function readOutlines(collection: { features: Feature[] }): Outline[] {
  return collection.features
    .map(({ properties, geometry }) => ({
      id: properties.LocationID,
      name: properties.zone,
      polygons: geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.coordinates,
    }))
    .sort((a, b) => a.id - b.id);
}

function inRing(point: Point, ring: Ring): boolean {
  let inside = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [lngA, latA] = ring[i]!;
    const [lngB, latB] = ring[j]!;
    if (latA > point.lat === latB > point.lat) continue;
    if (point.lng < ((lngB - lngA) * (point.lat - latA)) / (latB - latA) + lngA) inside = !inside;
  }
  return inside;
}

export function contains(outline: Outline, point: Point): boolean {
  return outline.polygons.some(
    ([shore, ...holes]) => inRing(point, shore!) && !holes.some((hole) => inRing(point, hole)),
  );
}

/** Centroid and area by the shoelace formula; holes are left out of account. */
export function areaCentroid(outline: Outline): { centre: Point; areaM2: number } {
  let [area, lng, lat] = [0, 0, 0];
  for (const [ring] of outline.polygons) {
    for (let i = 0, j = ring!.length - 1; i < ring!.length; j = i++) {
      const [x0, y0] = ring![j]!;
      const [x1, y1] = ring![i]!;
      const cross = x0 * y1 - x1 * y0;
      area += cross / 2;
      lng += ((x0 + x1) * cross) / 6;
      lat += ((y0 + y1) * cross) / 6;
    }
  }
  const centre = { lat: lat / area, lng: lng / area };
  const metresPerDegree = 111_195;
  return { centre, areaM2: Math.abs(area) * metresPerDegree ** 2 * Math.cos((centre.lat * Math.PI) / 180) };
}
