/** The states that a trip goes through, a departure with seats included, and what both write down on their way. */

export const tripStatuses = [
  'requested',
  'offered',
  'assigned',
  'driver_arrived',
  'in_progress',
  'completed',
  'cancelled',
  'expired',
] as const;
export type TripStatus = (typeof tripStatuses)[number];

/** A departure that passengers book seats of waits in a status of its own. */
export const departureStatuses = [
  'scheduled',
  'driver_arrived',
  'in_progress',
  'completed',
  'cancelled',
  'expired',
] as const;
export type DepartureStatus = (typeof departureStatuses)[number];

export type AnyStatus = TripStatus | DepartureStatus;

const terminal: ReadonlySet<AnyStatus> = new Set<AnyStatus>(['completed', 'cancelled', 'expired']);

export const isTerminal = (status: AnyStatus): boolean => terminal.has(status);

/** Statuses in which a driver is bound to it, and tracked on it. */
export const isDriven = (status: AnyStatus): status is 'assigned' | 'driver_arrived' | 'in_progress' =>
  status === 'assigned' || status === 'driver_arrived' || status === 'in_progress';

/** The steps that were reached, epoch ms, and how it ended. */
export interface Steps {
  arrivedAt?: number;
  startedAt?: number;
  completedAt?: number;
  cancelledAt?: number;
  expiredAt?: number;
  cancelReason?: string;
  cancelledBy?: string;
}

/** Who did what nobody asked for. */
export const SYSTEM = 'system';
