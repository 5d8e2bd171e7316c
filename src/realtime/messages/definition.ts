/**
 * What a message definition is. One definition serves WebSocket, gRPC and the generated documents; a test holds the
 * definitions and proto/ride/v1/ride.proto against each other both ways.
 */
import type { Bookings } from '../../domain/bookings/service.ts';
import type { Chat } from '../../domain/chat/service.ts';
import type { CheckIns } from '../../domain/check-ins/service.ts';
import type { Dispatch } from '../../domain/dispatch/service.ts';
import type { Drivers } from '../../domain/drivers/service.ts';
import type { Locations } from '../../domain/locations/service.ts';
import type { Presence } from '../../domain/presence/service.ts';
import type { Principal, Role } from '../../domain/roles.ts';
import type { Sos } from '../../domain/sos/service.ts';
import type { TelematicsDesk } from '../../domain/telematics/service.ts';
import type { Trips } from '../../domain/trips/service.ts';
import type { OutboundKind, OutboundMessages } from '../../ports/publisher.ts';
import type { ClientPayload, ServerPayload } from '../payload.ts';

/** What a full outbound buffer does with a message (R9). */
export type DeliveryClass =
  /** Conflated by topic and kind: a slow reader gets the newest. */
  | 'latest'
  /** Recoverable: a reader that cannot keep up is disconnected and resumes from its offset. */
  | 'ordered'
  /** Dropped, oldest first, and counted. */
  | 'ephemeral';

/** Which socket bucket pays for an inbound message; `none` is never limited. */
export type RateClass = 'general' | 'location' | 'chat' | 'none';

export interface Services {
  trips: Trips;
  bookings: Pick<Bookings, 'underWayOf' | 'any' | 'mayRead'>;
  drivers: Drivers;
  dispatch: Dispatch;
  locations: Locations;
  telematics: Pick<TelematicsDesk, 'check' | 'heard'>;
  chat: Chat;
  presence: Presence;
  sos: Sos;
  checkIns: CheckIns;
}

/** What a handler may do with the session it was called from. */
export interface SessionHandle {
  readonly id: string;
  readonly principal: Principal;
  /** @param announce called between what was missed and what is live */
  subscribe(
    topic: string,
    since?: { offset: number; epoch: string },
    announce?: (result: SubscribeResult) => void,
  ): Promise<SubscribeResult>;
  /** Answers the message at once; its handler then returns null. */
  answer(payload: ServerPayload): void;
  unsubscribe(topic: string): void;
  /** The client has everything of a topic up to there. @throws RideError RIDE_INVALID_INPUT when it cannot have that */
  acknowledge(topic: string, position: { offset: number; epoch: string }): void;
}

export interface SubscribeResult {
  topic: string;
  recovered: boolean;
  offset: number;
  epoch: string;
  replayed: number;
}

/** Fields of the ack, another payload in its place, or null when the message was answered already. */
export type Reply = { accepted?: number; late?: number; id?: string } | ServerPayload | null;

export type ClientCase = ClientPayload['case'];
export type PayloadOf<C extends ClientCase> = Extract<ClientPayload, { case: C }>['value'];

export type TopicKind = 'trip' | 'booking' | 'user' | 'presence' | 'zone' | 'city' | 'sos';

export interface ClientMessage<C extends ClientCase = ClientCase> {
  /** As in the proto: `location_update`. */
  kind: string;
  /** As in the generated code: `locationUpdate`. */
  case: C;
  roles: readonly Role[];
  rate: RateClass;
  /** Tokens that it takes; 1 when left out. */
  cost?(payload: PayloadOf<C>): number;
  doc: string;
  /** Protobuf JSON of the payload. */
  example: Record<string, unknown>;
  /**
   * Without a corr_id nobody waits for its ack, which is left out when something else was written to the session since the last such
   * message: that says as well that the server is there, and a phone's radio may sleep.
   */
  isSignOfLife?: true;
  /** Of a sign of life: there is more to it, so that it is handled, acked or not. */
  saysMore?(payload: PayloadOf<C>): boolean;
  /** @throws RideError, which becomes an `error` envelope; the session lives on. */
  handle(session: SessionHandle, payload: PayloadOf<C>, services: Services): Promise<Reply>;
}

export interface ServerMessage<K extends OutboundKind = OutboundKind> {
  kind: K;
  delivery: DeliveryClass;
  /** Someone has to act on it within seconds: in a busy turn it is written before what is handed to the many. */
  comesFirst?: true;
  /** Kinds of the topics that it comes on: `trip` of `trip:<id>`. */
  topics: readonly TopicKind[];
  doc: string;
  example: OutboundMessages[K];
  toWire(message: OutboundMessages[K]): ServerPayload;
}

export const defineClientMessage = <C extends ClientCase>(message: ClientMessage<C>): ClientMessage<C> => message;
export const defineServerMessage = <K extends OutboundKind>(message: ServerMessage<K>): ServerMessage<K> => message;

export const everyone: readonly Role[] = ['rider', 'driver', 'admin', 'dispatcher', 'service'];
