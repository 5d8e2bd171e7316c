/**
 * What is kept of each decision: its whole input, so that it can be replayed, and for each trip the candidates with their
 * scores and reasons as they were, so that it can be read also when the rules have changed since.
 */
import type { CollectionSpec, StoredDocument } from '../../ports/store.ts';
import type { ChoiceReason, Decision, DecisionInput, Ranked, RejectionReason } from './rules.ts';

export interface DispatchDecision extends StoredDocument {
  city: string;
  input: DecisionInput;
  outcome: Decision;
}

/** One trip's part in a decision. */
export interface TripDecision extends StoredDocument {
  tripId: string;
  /** Where the whole is that other trips share; a decision about one trip alone carries it itself. */
  decisionId: string;
  whole?: Pick<DispatchDecision, 'input' | 'outcome'>;
  at: number;
  /** How many trips were decided together. */
  trips: number;
  reason: ChoiceReason;
  driverIds: string[];
  /** The cheapest ones, and how many there were. */
  ranked: Ranked[];
  rankedCount: number;
  /** The first ones, and how many there were for each reason. */
  rejected: { driverId: string; ring: number; reason: RejectionReason }[];
  rejectedCounts: Partial<Record<RejectionReason, number>>;
}

export const decisionCollection: CollectionSpec<DispatchDecision> = {
  name: 'dispatchDecisions',
  indexes: [{ name: 'created', fields: ['createdAt'] }],
};

export const tripDecisionCollection: CollectionSpec<TripDecision> = {
  name: 'tripDecisions',
  indexes: [
    { name: 'trip_created', fields: ['tripId', 'createdAt'] },
    { name: 'created', fields: ['createdAt'] },
  ],
};
