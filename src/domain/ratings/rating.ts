/**
 * A rating as stored, under an id made of the trip and who gave it: so there is one of each side, whoever asks how often. It is never
 * changed. A reputation is counted from these documents, so nothing that happens twice can count twice.
 */
import type { CollectionSpec, StoredDocument } from '../../ports/store.ts';
import type { RatedRole } from './rules.ts';

export interface Rating extends StoredDocument {
  tripId: string;
  city: string;
  raterId: string;
  raterRole: RatedRole;
  subjectId: string;
  subjectRole: RatedRole;
  /** 1 to 5. */
  stars: number;
  comment?: string;
}

export const ratingCollection: CollectionSpec<Rating> = {
  name: 'ratings',
  indexes: [
    { name: 'subject_created', fields: ['subjectId', 'subjectRole', 'createdAt'] },
    { name: 'trip', fields: ['tripId'] },
  ],
};

export const ratingIdOf = (tripId: string, raterId: string): string =>
  `${tripId.replace(/^(trip_)?/, 'rat_')}.${raterId}`;
