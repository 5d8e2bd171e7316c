/** Geofences as they are stored, and who crossed one. */
import type { CollectionSpec, StoredDocument } from '../../ports/store.ts';
import type { Sighting } from '../locations/rules.ts';
import type { Area } from './rules.ts';

/** `city`: what belongs to a city; the others are for operators and integrators to tell apart. */
export const purposes = ['city', 'service_area', 'airport', 'restricted', 'custom'] as const;
export type Purpose = (typeof purposes)[number];

export interface Geofence extends StoredDocument {
  name: string;
  city: string;
  purpose: Purpose;
  area: Area;
  /** Metres beyond the edge from which one who was inside has left. */
  exitMarginM: number;
  /** A removed one is kept for its crossings and for nodes that have not heard of it. */
  isRemoved: boolean;
  updatedAt: number;
}

export const geofenceCollection: CollectionSpec<Geofence> = {
  name: 'geofences',
  indexes: [
    { name: 'updated', fields: ['updatedAt'] },
    { name: 'city_created', fields: ['city', 'createdAt'] },
  ],
};

export interface Crossing extends StoredDocument {
  geofenceId: string;
  geofenceName: string;
  purpose: Purpose;
  city: string;
  driverId: string;
  /** Empty: on no trip. */
  tripId: string;
  type: 'entered' | 'exited';
  /** When the device measured it. */
  at: number;
  place: Sighting;
  /** Of an exit: how long he was inside, milliseconds. */
  insideMs?: number;
}

export const crossingCollection: CollectionSpec<Crossing> = {
  name: 'geofenceCrossings',
  indexes: [
    { name: 'geofence_created', fields: ['geofenceId', 'createdAt'] },
    { name: 'created', fields: ['createdAt'] },
  ],
};
