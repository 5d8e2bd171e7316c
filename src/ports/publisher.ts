/**
 * What the domain says to connected people. Plain data in domain terms (numbers for milliseconds); src/realtime/messages
 * turns it into the envelope of proto/ride/v1/ride.proto, encoded once for all readers.
 */
import type { DepartureEvent } from '../domain/departures/rules.ts';
import type { LatLng } from '../domain/geo.ts';
import type { Freshness, Shown } from '../domain/locations/rules.ts';
import type { Offer } from '../domain/offers/rules.ts';
import type { Role } from '../domain/roles.ts';
import type { TripEvent } from '../domain/trips/rules.ts';
import type { Position } from './positions.ts';

export interface OutboundMessages {
  trip_event: { tripId: string; riderId: string; event: TripEvent | DepartureEvent };
  job_offer: {
    tripId: string;
    offer: Offer;
    /** Where its driver was. */
    from: Shown;
    pickup: LatLng;
    dropoff: LatLng;
    tripDistanceM: number;
    fareMinor: number;
    currency: string;
    vehicleClass: string;
    kind: string;
    parcelWeightG?: number;
  };
  offer_closed: { tripId: string; offerId: string; reason: string };
  match: { tripId: string; offer: Offer; from: Shown; vehicleClass: string };
  location: { position: Position } & Freshness;
  eta_refresh: {
    tripId: string;
    etaS: number;
    distanceM: number;
    leg: 'pickup' | 'dropoff';
    source: string;
    /** Of the position that it was estimated from, as its freshness. */
    accuracyM?: number | undefined;
    positionSource: string;
  } & Freshness;
  zone_broadcast: {
    zone: string;
    city: string;
    positions: ({ position: Position; status: string } & Freshness)[];
  };
  /** Of a booking when it has one: then the trip is the departure. */
  chat_message: {
    tripId: string;
    bookingId?: string;
    messageId: string;
    senderId: string;
    senderRole: Role;
    text: string;
    at: number;
    /** Of the trip's last event when it was said; of a booking there is none. */
    tripSeq?: number;
  };
  typing_notice: { tripId: string; bookingId?: string; userId: string; active: boolean };
  presence: { userId: string; online: boolean; lastSeenMs: number };
  sos_alert: {
    alertId: string;
    /** The sender's own, or empty. */
    tripId: string;
    /** Named by the sender and not known to be his. */
    claimedTripId: string;
    userId: string;
    role: string;
    status: string;
    position: Shown | null;
    note: string;
    at: number;
  };
  notification: { id: string; title: string; body: string; tripId: string };
  check_in: {
    tripId: string;
    round: number;
    type: string;
    status: string;
    hazards: readonly string[];
    /** The one that it is about, or empty. */
    hazard: string;
    reason: string;
    /** 0 when nothing is asked. */
    deadline: number;
    place: Shown | null;
    riderId: string;
    driverId: string;
    at: number;
  };
  geofence_event: {
    geofenceId: string;
    name: string;
    purpose: string;
    city: string;
    driverId: string;
    tripId: string;
    type: string;
    place: Shown;
    at: number;
    insideMs: number;
  };
  anomaly_flag: {
    id: string;
    kind: string;
    subjectId: string;
    subjectRole: string;
    city: string;
    score: number;
    /** JSON. */
    evidence: string;
    at: number;
  };
  rating_given: {
    tripId: string;
    raterId: string;
    raterRole: string;
    subjectId: string;
    subjectRole: string;
    /** 1 to 5. */
    stars: number;
    /** Or empty. */
    comment: string;
    at: number;
  };
}

export type OutboundKind = keyof OutboundMessages;

/**
 * `published`: new to the topic. `duplicate`: the topic had it. `gap`: an event with a smaller seq has to come first.
 * `unknown`: the topic has no memory of this source and seq is not 1; publish from the oldest pending one with `restart`.
 */
export type PublishOutcome = 'published' | 'duplicate' | 'gap' | 'unknown';

/** Sources of a single event that a topic knows, so that what many other systems tell one user does not add up for ever. */
export const SINGLES_KNOWN = 1024;

/** Holds the order of one document's events within its topic. */
export interface SourceOrder {
  source: string;
  seq: number;
  /** The topic's memory was lost: begin a new one with this event. */
  restart?: boolean;
  /** The source has this one event and no other: the topic knows it until it has had SINGLES_KNOWN messages more. */
  isSingle?: boolean;
}

export interface Publisher {
  /** Ordered, remembered in the topic's history, recoverable. Rejects with RIDE_UNAVAILABLE when Redis is away. */
  publishOrdered<K extends OutboundKind>(
    topic: string,
    kind: K,
    message: OutboundMessages[K],
    eventId: string,
    order?: SourceOrder,
  ): Promise<PublishOutcome>;
  /** To whoever listens now; newest wins. Never waits, never throws; losses are counted. */
  publishLatest<K extends OutboundKind>(topic: string, kind: K, message: OutboundMessages[K], eventId?: string): void;
}
