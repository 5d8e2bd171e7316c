/** Every message, one line each. */
import type { OutboundKind } from '../../ports/publisher.ts';
import { anomalyFlag } from './anomaly-flag.ts';
import { chatMessage } from './chat-message.ts';
import { chatSend } from './chat-send.ts';
import { checkIn } from './check-in.ts';
import { checkInReply } from './check-in-reply.ts';
import type { ClientCase, ClientMessage, DeliveryClass, ServerMessage } from './definition.ts';
import { etaRefresh } from './eta-refresh.ts';
import { geofenceEvent } from './geofence-event.ts';
import { heartbeat } from './heartbeat.ts';
import { jobOffer } from './job-offer.ts';
import { location } from './location.ts';
import { locationBatch } from './location-batch.ts';
import { locationUpdate } from './location-update.ts';
import { match } from './match.ts';
import { notification } from './notification.ts';
import { offerClosed } from './offer-closed.ts';
import { offerReply } from './offer-reply.ts';
import { presence } from './presence.ts';
import { ratingGiven } from './rating-given.ts';
import { received } from './received.ts';
import { rideStatus } from './ride-status.ts';
import { sosAlert } from './sos-alert.ts';
import { sosTrigger } from './sos-trigger.ts';
import { subscribe } from './subscribe.ts';
import { tripEvent } from './trip-event.ts';
import { typing } from './typing.ts';
import { typingNotice } from './typing-notice.ts';
import { unsubscribe } from './unsubscribe.ts';
import { zoneBroadcast } from './zone-broadcast.ts';

export const clientMessages: { readonly [C in ClientCase]: ClientMessage<C> } = {
  locationUpdate,
  locationBatch,
  rideStatus,
  heartbeat,
  offerReply,
  chatSend,
  typing,
  sosTrigger,
  subscribe,
  unsubscribe,
  received,
  checkInReply,
};

export const serverMessages: { readonly [K in OutboundKind]: ServerMessage<K> } = {
  trip_event: tripEvent,
  job_offer: jobOffer,
  offer_closed: offerClosed,
  match,
  location,
  eta_refresh: etaRefresh,
  zone_broadcast: zoneBroadcast,
  chat_message: chatMessage,
  typing_notice: typingNotice,
  presence,
  sos_alert: sosAlert,
  notification,
  check_in: checkIn,
  geofence_event: geofenceEvent,
  anomaly_flag: anomalyFlag,
  rating_given: ratingGiven,
};

const deliveries = new Map(Object.values(serverMessages).map(({ kind, delivery }) => [kind as string, delivery]));

/** The delivery class of a payload's kind; `reply` for answers to one session (ack, error, welcome, …), which are never dropped. */
export const deliveryOf = (kind: string): DeliveryClass | 'reply' => deliveries.get(kind) ?? 'reply';

const first: ReadonlySet<string> = new Set(
  Object.values(serverMessages).flatMap((message) => (message.comesFirst ? [message.kind] : [])),
);

/** Whether a published message of this kind does not wait for what is handed to the many. */
export const comesFirst = (kind: string): boolean => first.has(kind);
