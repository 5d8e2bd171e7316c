/** A position as the hash that the documents describe: names of the keys, of the fields, and the way back. */
import type { VehicleClass } from '../../domain/roles.ts';
import type { Position } from '../../ports/positions.ts';

export const driverKey = (driverId: string): string => `porter:location:${driverId}`;
export const tripKey = (tripId: string): string => `location:${tripId}`;

/** A position as the script takes it, to be written under so many keys; negative: its driver is moved in the index too. */
export function recordOf(p: Position, keys: number): string {
  // Names are those of document C.
  const record = [`${keys}`, `${p.recordedAt}`, 'lat', `${p.lat}`, 'lng', `${p.lng}`, 'driverId', p.driverId];
  record.push('vehicleClass', p.vehicleClass, 'city', p.city, 'source', p.source);
  if (p.tripId !== '') record.push('tripId', p.tripId);
  if (p.speedMps !== undefined) record.push('speed', `${p.speedMps}`);
  if (p.headingDeg !== undefined) record.push('heading', `${p.headingDeg}`);
  if (p.accuracyM !== undefined) record.push('accuracy', `${p.accuracyM}`);
  return JSON.stringify(record);
}

/** All of them, in the order in which `positionOf` takes their values. */
export const POSITION_FIELDS = [
  'timestamp',
  'driverId',
  'tripId',
  'lat',
  'lng',
  'speed',
  'heading',
  'accuracy',
  'vehicleClass',
  'city',
  'source',
] as const;

type Value = string | false | null;

const optionalNumber = (text: Value | undefined): number | undefined => (text ? Number(text) : undefined);

/** From the values of POSITION_FIELDS, null or false where the hash has none. Null: there is no such position. */
export function positionOf(values: readonly Value[]): Position | null {
  const [timestamp, driverId, tripId, lat, lng, speed, heading, accuracy, vehicleClass, city, source] = values;
  if (!timestamp) return null;
  return {
    driverId: driverId || '',
    tripId: tripId || '',
    lat: Number(lat),
    lng: Number(lng),
    speedMps: optionalNumber(speed),
    headingDeg: optionalNumber(heading),
    accuracyM: optionalNumber(accuracy),
    recordedAt: Number(timestamp),
    vehicleClass: (vehicleClass || 'standard') as VehicleClass,
    city: city || '',
    source: source || 'stream',
  };
}
