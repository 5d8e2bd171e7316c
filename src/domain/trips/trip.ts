/** The trip as it is stored: one document, one transaction. Field names inside follow document C's indexes. */
import type { CollectionSpec, OutboxEvent, StoredDocument } from '../../ports/store.ts';
import { charge, type Fare, noSurge, type Terms } from '../pricing/rules.ts';
import type { VehicleClass } from '../roles.ts';
import { isTerminal } from '../statuses.ts';
import type { Place, TripEvent, TripFact, TripState } from './rules.ts';

/** Kinds of trip that are matched to drivers; a departure with seats is of the third, `scheduled`. */
export const dispatchedKinds = ['ride', 'delivery'] as const;
export type DispatchedKind = (typeof dispatchedKinds)[number];

export interface Estimate {
  distanceM: number;
  durationS: number;
  /** Where the duration came from, and what it was before the traffic: what the finished ride is compared with. */
  source?: string;
  baseS?: number;
  fareMinor: number;
  currency: string;
}

export interface Trip extends StoredDocument, TripState {
  /** A delivery has what is delivered in `delivery`. */
  kind: DispatchedKind;
  vehicleClass: VehicleClass;
  /** Pick-up, with the cell that searches go by (../departures/cover.ts); trips of a time before have none. */
  source: Place & { cell?: string };
  /** Drop-off. */
  destination: Place;
  note?: string;
  estimate: Estimate;
  /** What its price follows from, fixed when it was quoted or requested; absent in trips of a time before: ask `termsOf`. */
  terms?: Terms;
  /** The idempotency key it was requested with, as the record's id: tells a repeat from another request with the same quote. */
  requestKey?: string;
  /** When the rider wants to be picked up, epoch ms; missing: as soon as somebody can. */
  departureTime?: number;
  /** Instant from which a driver is sought, epoch ms: at once, or some time ahead of the departure. */
  matchFrom: number;
  /** Every event of the trip, so that its history can be read for ever; as long as MAX_OFFERS allows. */
  history: TripEvent[];
}

/** Scheduled departures are in it too: ../departures/departure.ts adds the indexes of those. */
export const tripCollection: CollectionSpec<Trip> = {
  name: 'trips',
  indexes: [
    { name: 'status_city_departure', fields: ['status', 'source.city', 'departureTime'], present: 'departureTime' },
    // With the zone demand is counted without reading a trip.
    { name: 'status_city_match', fields: ['status', 'source.city', 'matchFrom'], counts: 'source.zone' },
    { name: 'driver_status', fields: ['driverId', 'status'], present: 'driverId' },
    { name: 'rider_created', fields: ['riderId', 'createdAt'] },
    // Without the kind every trip that was ever completed would be read to count those of one.
    { name: 'status_updated', fields: ['status', 'updatedAt'], counts: 'kind' },
    { name: 'cell_created', fields: ['source.cell', 'createdAt'] },
    { name: 'created', fields: ['createdAt'] },
  ],
};

/** Number of the last event; the next has this plus one. */
export const lastSeq = (trip: Trip): number => trip.history.length;

/** A fact as the next event of the trip that it made. */
export const eventOf = (id: string, fact: TripFact, trip: Trip): TripEvent => ({
  ...fact,
  id,
  seq: lastSeq(trip) + 1,
  status: trip.status,
  version: trip.version,
});

/** The event as it waits to be told. */
export function outboxOf(trip: Trip, event: TripEvent): OutboxEvent {
  const data = { ...event, riderId: trip.riderId, city: trip.source.city };
  return { id: event.id, seq: event.seq, type: `trip.${event.type}`, at: event.at, data };
}

/** A trip that was stored before prices were kept costs what its rider was told, and nothing more. */
export const termsOf = ({ terms, estimate, source }: Pick<Trip, 'terms' | 'estimate' | 'source'>): Terms =>
  terms ?? {
    tariff: {
      currency: estimate.currency,
      baseMinor: estimate.fareMinor,
      perKmMinor: 0,
      perMinuteMinor: 0,
      minimumMinor: 0,
      waitingFreeS: 0,
      waitingPerMinuteMinor: 0,
      cancellationFreeS: 0,
      cancellationFeeMinor: 0,
    },
    distanceM: Math.round(estimate.distanceM),
    durationS: Math.round(estimate.durationS),
    surge: noSurge(source.zone),
    quoted: true,
  };

/** What the rider owes for a trip that has ended; null before. */
export function chargeOf(trip: Trip): Fare | null {
  if (!isTerminal(trip.status)) return null;
  const { matchedAt, arrivedAt, startedAt, updatedAt: endedAt } = trip;
  const byRider = trip.cancelledBy === trip.riderId;
  const end =
    trip.status === 'cancelled'
      ? byRider
        ? 'cancelled_by_rider'
        : 'cancelled_by_others'
      : trip.status === 'completed'
        ? 'completed'
        : 'expired';
  return charge(termsOf(trip), { end, matchedAt, arrivedAt, startedAt, endedAt });
}
