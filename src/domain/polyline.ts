/**
 * Encoded polylines (Google's algorithm, precision 5; Valhalla's have 6): a track in a tenth of its GeoJSON, understood by every map library.
 * Coordinates are kept to 1e-5 degree, about a metre.
 */
import type { LatLng } from './geo.ts';

const SCALE = 1e5;

function encodeDelta(delta: number): string {
  let rest = delta < 0 ? -2 * delta - 1 : 2 * delta;
  let text = '';
  while (rest >= 0x20) {
    text += String.fromCharCode((rest % 0x20) + 0x20 + 63);
    rest = Math.floor(rest / 0x20);
  }
  return text + String.fromCharCode(rest + 63);
}

export function encodePolyline(points: readonly LatLng[]): string {
  let text = '';
  let lat = 0;
  let lng = 0;
  for (const point of points) {
    const nextLat = Math.round(point.lat * SCALE);
    const nextLng = Math.round(point.lng * SCALE);
    text += encodeDelta(nextLat - lat) + encodeDelta(nextLng - lng);
    lat = nextLat;
    lng = nextLng;
  }
  return text;
}

/** @throws RangeError on a text that is no polyline */
export function decodePolyline(text: string, decimals = 5): LatLng[] {
  const scale = 10 ** decimals;
  const points: LatLng[] = [];
  let at = 0;
  let lat = 0;
  let lng = 0;
  function delta(): number {
    let value = 0;
    let unit = 1;
    for (;;) {
      const chunk = text.charCodeAt(at++) - 63;
      if (!(chunk >= 0 && chunk < 0x40)) throw new RangeError(`not a polyline at character ${at}`);
      value += (chunk % 0x20) * unit;
      if (chunk < 0x20) return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
      unit *= 0x20;
    }
  }
  while (at < text.length) {
    lat += delta();
    lng += delta();
    points.push({ lat: lat / scale, lng: lng / scale });
  }
  return points;
}
