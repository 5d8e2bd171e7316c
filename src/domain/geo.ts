/** Distances on the earth, as pure functions. Coordinates are WGS 84 degrees, distances metres. */

export interface LatLng {
  lat: number;
  lng: number;
}

const EARTH_RADIUS_M = 6_371_008.8; // mean radius, IUGG
const RADIANS = Math.PI / 180;

/** Great-circle distance (haversine), metres; to less than a metre on the other side of the earth, to fractions of a millimetre within a city. */
export function distanceM(a: LatLng, b: LatLng): number {
  const dLat = (b.lat - a.lat) * RADIANS;
  const dLng = (b.lng - a.lng) * RADIANS;
  const h = Math.sin(dLat / 2) ** 2 + Math.cos(a.lat * RADIANS) * Math.cos(b.lat * RADIANS) * Math.sin(dLng / 2) ** 2;
  return 2 * EARTH_RADIUS_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

const METRES_PER_DEGREE = RADIANS * EARTH_RADIUS_M;

/** No less than the distance, metres, but for rounding, and without trigonometry: enough to see that two places are near. Loose towards the poles and across the date line. */
export function atMostM(a: LatLng, b: LatLng): number {
  const [dLat, dLng] = [a.lat - b.lat, a.lng - b.lng];
  return METRES_PER_DEGREE * Math.sqrt(dLat * dLat + dLng * dLng);
}

export interface TravelModel {
  /** Road distance over straight-line distance. */
  detourFactor: number;
  averageSpeedMps: number;
}

export interface Leg {
  distanceM: number;
  etaS: number;
}

/** Road distance and time estimated from the straight line. */
export function straightLineLeg(from: LatLng, to: LatLng, model: TravelModel): Leg {
  const road = distanceM(from, to) * model.detourFactor;
  return { distanceM: Math.round(road), etaS: Math.round(road / model.averageSpeedMps) };
}
