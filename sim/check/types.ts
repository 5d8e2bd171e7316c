/** What the check compares, and what it reports. */
import type { LedgerEntry } from '../ledger.ts';

/** A trip as the store tells it by REST. Times are domain time, epoch milliseconds. */
export interface StoreTrip {
  id: string;
  status: string;
  rider_id: string;
  driver_id: string | null;
  event_seq: number;
}

export interface StoreEvent {
  id: string;
  seq: number;
  type: string;
  driver_id?: string | null;
  actor_id: string;
  at: number;
}

export interface StoreHistory {
  trips: StoreTrip[];
  /** By trip id, in the order of the answer. */
  events: Map<string, StoreEvent[]>;
}

export interface Difference {
  rule: string;
  detail: string;
  trip?: string;
  row?: number;
  driver?: string;
  event?: string;
}

export interface CheckResult {
  differences: Difference[];
  counts: {
    goodRows: number;
    refusedRows: number;
    trips: number;
    completed: number;
    cancelledByRider: number;
    cancelledByDriver: number;
    cancelledByOthers: number;
    expired: number;
    eventsInStore: number;
    eventsReceived: number;
    /** Received again under the same id: allowed on the wire, dropped by the client. */
    repeatsBeforeDedupe: number;
    driversWithTrips: number;
  };
}

/** A ledger entry of one kind. */
export type Of<K extends LedgerEntry['k']> = Extract<LedgerEntry, { k: K }>;
export type Report = (difference: Difference) => void;

/** Statuses that a trip never leaves. */
export const terminalStatuses: ReadonlySet<string> = new Set(['completed', 'cancelled', 'expired']);
