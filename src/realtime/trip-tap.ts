/**
 * What this node itself must know of trips that someone here follows: what it remembers of them ends, the driver's location
 * binding follows the trip's status, a driver who gave a trip up, or let its offer pass, stops hearing of it, and when a ride is
 * over its two sides stop hearing whether the other is connected. Who lost his seats of a departure stops hearing of it, and so do its
 * driver and he of each other, unless they have another booking.
 */
import { isOperator } from '../domain/roles.ts';
import type { Broker } from './broker.ts';
import type { Frame } from './frame.ts';
import type { Services } from './messages/definition.ts';
import type { Session } from './session.ts';
import { ownTopic, presenceOf } from './topics.ts';

export interface TripTapOptions {
  trips: Pick<Services['trips'], 'changed' | 'any' | 'mayRead'>;
  presence: Pick<Services['presence'], 'mayFollow'>;
  locations: Pick<Services['locations'], 'onTripEvent'>;
  broker(): Broker;
}

/** After these the driver they name has no part in the trip any more. */
const LEFT: ReadonlySet<string> = new Set([
  'offer_narrowed',
  'offer_withdrawn',
  'offer_declined',
  'offer_expired',
  'driver_cancelled',
]);
/** After these the passenger of the booking has no seat any more. */
const SEATLESS: ReadonlySet<string> = new Set(['booking_cancelled', 'no_show']);
/** After these the rider and the driver they name have no ride with each other any more. */
const APART: ReadonlySet<string> = new Set(['completed', 'cancelled', 'driver_cancelled']);

/** After these a booking of a departure, or all of them, may be over. */
const BOOKING_OVER: ReadonlySet<string> = new Set([...SEATLESS, 'completed', 'cancelled', 'expired']);

export function createTripTap({ trips, presence, locations, broker }: TripTapOptions): (frame: Frame) => void {
  function part(one: string, other: string): void {
    for (const session of broker().sessionsOf(one)) {
      if (!isOperator(session.principal.role)) broker().unsubscribe(session, `presence:${other}`);
    }
  }

  function end(session: Session, topic: string): void {
    if (!session.subscriptions.get(topic)) return;
    broker().unsubscribe(session, topic);
    // Who only listens, and to this alone, is told that nothing more will come. Others may have nothing else yet: their own topic comes later.
    if (session.listensTo !== topic) return;
    session.flush();
    session.close('RIDE_FORBIDDEN', `${topic} is no longer to be followed`);
  }

  function leave(userId: string, topic: string): void {
    for (const session of [...broker().sessionsOf(userId)])
      if (!isOperator(session.principal.role)) end(session, topic);
  }

  /**
   * A departure's own topic does not say whose seats were lost: each is asked about who does not hear it on his own, because he only listens
   * here, or because he does not follow it yet.
   */
  async function leaveIfSeatless(tripId: string, topic: string): Promise<void> {
    const listeners = [...broker().followersOf(topic)].filter(
      ({ principal, subscriptions }) => !isOperator(principal.role) && !subscriptions.get(ownTopic(principal)),
    );
    if (listeners.length === 0) return;
    const trip = await trips.any(tripId).catch(() => null);
    for (const session of listeners) {
      // Who cannot be asked about may come again, and is asked about then.
      if (!trip) session.close('RIDE_UNAVAILABLE', `${topic}: who may follow it cannot be asked now`);
      else if (!trips.mayRead(session.principal, trip)) end(session, topic);
    }
  }

  /** He stops hearing whether those are connected with whom he has nothing to do any more. */
  async function forgetOthers(userId: string): Promise<void> {
    for (const session of broker().sessionsOf(userId)) {
      for (const { feed } of [...session.subscriptions]) {
        const other = presenceOf(feed.topic);
        // Who cannot be asked about is not told of either: the client may ask again.
        const may = other === null || (await presence.mayFollow(session.principal, other).catch(() => false));
        if (!may) broker().unsubscribe(session, feed.topic);
      }
    }
  }

  return (frame) => {
    const { kind, topic } = frame;
    if (kind !== 'trip_event') return;
    const isOfTrip = topic.startsWith('trip:');
    if (!isOfTrip && !topic.startsWith('user:')) return;
    const payload = frame.decode((envelope) => envelope.payload);
    if (payload.case !== 'tripEvent') return;
    const { tripId, seq, type, status, driverId, riderId, seatsFree } = payload.value;
    const isDeparture = seatsFree !== undefined;
    trips.changed(tripId);
    // What another system says of a trip changes nobody's part in it, whatever it is called.
    if (seq === 0n) return;
    if (!isDeparture && driverId !== '' && APART.has(type)) {
      part(riderId, driverId);
      part(driverId, riderId);
    }
    if (!isOfTrip) {
      const userId = topic.slice('user:'.length);
      if (SEATLESS.has(type) && riderId === userId) leave(userId, `trip:${tripId}`);
      if (isDeparture && BOOKING_OVER.has(type)) void forgetOthers(userId);
      locations.onTripEvent(userId, tripId, status as Parameters<Services['locations']['onTripEvent']>[2]);
    } else if (LEFT.has(type)) {
      leave(driverId, topic);
    } else if (SEATLESS.has(type)) {
      void leaveIfSeatless(tripId, topic);
    }
  };
}
