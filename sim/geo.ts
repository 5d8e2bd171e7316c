/** The little geometry that the simulator's drivers need: straight lines on a sphere, over a city's distances. */

/** WGS 84 degrees. */
export interface Point {
  lat: number;
  lng: number;
}

const EARTH_RADIUS_M = 6_371_008.8;
const RAD = Math.PI / 180;

/** Great-circle distance in metres. */
export function distanceM(a: Point, b: Point): number {
  const dLat = (b.lat - a.lat) * RAD;
  const dLng = (b.lng - a.lng) * RAD;
  const h = Math.sin(dLat / 2) ** 2 + Math.cos(a.lat * RAD) * Math.cos(b.lat * RAD) * Math.sin(dLng / 2) ** 2;
  return 2 * EARTH_RADIUS_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** The point at `share` (0 to 1) of the way; a straight line in degrees, which is near enough within a city. */
export function between(a: Point, b: Point, share: number): Point {
  const s = Math.min(1, Math.max(0, share));
  return { lat: a.lat + (b.lat - a.lat) * s, lng: a.lng + (b.lng - a.lng) * s };
}

/** Direction of travel, degrees clockwise from north, in [0, 360). */
export function headingDeg(a: Point, b: Point): number {
  const east = (b.lng - a.lng) * Math.cos(((a.lat + b.lat) / 2) * RAD);
  return ((Math.atan2(east, b.lat - a.lat) / RAD + 360) % 360) % 360;
}

/** A point `eastM` and `northM` metres away. */
export function offset(from: Point, eastM: number, northM: number): Point {
  const metresPerDegree = EARTH_RADIUS_M * RAD;
  return {
    lat: from.lat + northM / metresPerDegree,
    lng: from.lng + eastM / (metresPerDegree * Math.cos(from.lat * RAD)),
  };
}

/** Six decimals: a tenth of a metre, as phones send it. */
export function roundPoint(p: Point): Point {
  return { lat: Math.round(p.lat * 1e6) / 1e6, lng: Math.round(p.lng * 1e6) / 1e6 };
}
