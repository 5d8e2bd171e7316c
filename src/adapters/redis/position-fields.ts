/** A position as the hash that the documents describe: names of the keys, of the fields, and the way back. */
import type { VehicleClass } from '../../domain/roles.ts';
import type { Position } from '../../ports/positions.ts';

export const driverKey = (driverId: string): string => `porter:location:${driverId}`;
export const tripKey = (tripId: string): string => `location:${tripId}`;

/** Hash fields but the timestamp and their values in turn, named as document C names them; a JSON list of strings. */
export function fieldsOf(p: Position): string {
  const fields = ['lat', `${p.lat}`, 'lng', `${p.lng}`, 'driverId', p.driverId];
  fields.push('vehicleClass', p.vehicleClass, 'city', p.city, 'source', p.source);
  if (p.tripId !== '') fields.push('tripId', p.tripId);
  if (p.speedMps !== undefined) fields.push('speed', `${p.speedMps}`);
  if (p.headingDeg !== undefined) fields.push('heading', `${p.headingDeg}`);
  if (p.accuracyM !== undefined) fields.push('accuracy', `${p.accuracyM}`);
  return JSON.stringify(fields);
}

const optionalNumber = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Number(text);

export function parsePosition(hash: Record<string, string>): Position | null {
  if (hash.timestamp === undefined) return null;
  return {
    driverId: hash.driverId ?? '',
    tripId: hash.tripId ?? '',
    lat: Number(hash.lat),
    lng: Number(hash.lng),
    speedMps: optionalNumber(hash.speed),
    headingDeg: optionalNumber(hash.heading),
    accuracyM: optionalNumber(hash.accuracy),
    recordedAt: Number(hash.timestamp),
    vehicleClass: (hash.vehicleClass ?? 'standard') as VehicleClass,
    city: hash.city ?? '',
    source: hash.source ?? 'stream',
  };
}
