/** Names of topics and who may follow them (X4). The channel of a topic in Redis has the same name. */
import { userId } from '../domain/names.ts';
import { isOperator, isStaff, type Principal } from '../domain/roles.ts';
import { invalidInput, notFound, RideError } from '../errors.ts';
import type { Services } from './messages/definition.ts';

export const MAX_TOPIC = 200;

/** Document E's orders are trips. */
export function canonicalTopic(topic: string): string {
  return topic.startsWith('order:') ? `trip:${topic.slice('order:'.length)}` : topic;
}

const TRIP = 'trip:';
const PRESENCE = 'presence:';

/** Of whom a topic `presence:<user id>` tells; null of any other. */
export const presenceOf = (topic: string): string | null =>
  topic.startsWith(PRESENCE) ? topic.slice(PRESENCE.length) : null;

/** The trip of a topic `trip:<id>`; null of any other. */
export const tripOf = (topic: string): string | null => (topic.startsWith(TRIP) ? topic.slice(TRIP.length) : null);

export type TopicServices = Pick<Services, 'trips' | 'bookings' | 'presence'>;

/** Followed by every session of the user without asking; what is sent to it while he is away waits for him. */
export const ownTopic = ({ userId }: Principal): string => `user:${userId}`;

/**
 * Riders follow their own trips and bookings, drivers their assigned ones, operators any; the two sides each other's presence;
 * admins and dispatchers a whole city and the alerts.
 * @throws RideError RIDE_INVALID_INPUT for a name that is none, RIDE_FORBIDDEN, RIDE_NOT_FOUND
 */
export async function authorizeTopic(principal: Principal, topic: string, services: TopicServices): Promise<void> {
  const match = /^(trip|booking|user|zone|city|sos|presence):(.*)$/s.exec(topic);
  if (!match || !userId.pattern.test(match[2]!)) {
    throw invalidInput(
      'topic',
      `trip:<id>, order:<id>, booking:<id>, user:<id>, presence:<user id>, zone:<h3>, city:<city> or sos:alerts; the id is ${userId.rule}`,
    );
  }
  const [, kind, name] = match as unknown as [string, string, string];
  const allowed = await mayFollow(principal, kind, name, services);
  if (!allowed)
    throw new RideError('RIDE_FORBIDDEN', `A ${principal.role} may not follow ${topic}`, {
      field: 'topic',
      rule: 'a topic that the caller may follow',
    });
}

async function mayFollow(principal: Principal, kind: string, name: string, services: TopicServices): Promise<boolean> {
  switch (kind) {
    case 'trip': {
      const trip = await services.trips.any(name);
      if (!trip) throw notFound('trip', name, 'topic');
      return services.trips.mayRead(principal, trip);
    }
    case 'booking': {
      const booked = await services.bookings.any(name);
      if (!booked) throw notFound('booking', name, 'topic');
      return services.bookings.mayRead(principal, booked);
    }
    case 'user':
      return name === principal.userId || isOperator(principal.role);
    case 'presence':
      return services.presence.mayFollow(principal, name);
    case 'zone':
      return principal.role === 'driver' || isOperator(principal.role);
    case 'city':
      // Where every driver of a city is, and every trip in it: more than a service needs to act for one.
      return isStaff(principal.role);
    default:
      return name === 'alerts' && isStaff(principal.role);
  }
}
