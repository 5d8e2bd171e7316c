/** A trip's check-in as it is stored, under the trip's own id, so that a trip has one. */
import type { CollectionSpec, StoredDocument } from '../../ports/store.ts';
import type { Sighting } from '../locations/rules.ts';
import type { Warning } from '../safety/rules.ts';
import type { CheckInEvent, CheckInState } from './rules.ts';

export interface CheckIn extends StoredDocument, CheckInState {
  city: string;
  /** The last hazards with what they rest on, oldest first. */
  evidence: Warning[];
  /** The last place that is known, for the alert. */
  place: Sighting | null;
  history: CheckInEvent[];
  /** Counts the events ever. */
  seq: number;
  updatedAt: number;
}

export const checkInCollection: CollectionSpec<CheckIn> = {
  name: 'checkIns',
  indexes: [
    { name: 'status_deadline', fields: ['status', 'deadline'] },
    { name: 'status_updated', fields: ['status', 'updatedAt'] },
    { name: 'updated', fields: ['updatedAt'] },
    { name: 'alert', fields: ['alertId'], sparse: true },
  ],
};
