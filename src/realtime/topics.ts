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

export interface TopicServices extends Pick<Services, 'trips' | 'bookings' | 'presence'> {
  chat: Pick<Services['chat'], 'heardFrom'>;
}

/**
 * From when on a caller who does not hear everything of a topic hears what is said there: `seq` of an event of the trip. Asked once whatever changes
 * that will reach him, so that nothing of it is missed. @throws as `authorizeTopic`
 */
export type Hearing = () => Promise<number>;

/** Followed by every session of the user without asking; what is sent to it while he is away waits for him. */
export const ownTopic = ({ userId }: Principal): string => `user:${userId}`;

/**
 * Riders follow their own trips and bookings, drivers their assigned ones, operators any; the two sides each other's presence;
 * admins and dispatchers a whole city and the alerts.
 * @returns null: he hears all of it, for as long as he follows it
 * @throws RideError RIDE_INVALID_INPUT for a name that is none, RIDE_FORBIDDEN, RIDE_NOT_FOUND
 */
export async function authorizeTopic(
  principal: Principal,
  topic: string,
  services: TopicServices,
): Promise<Hearing | null> {
  const match = /^(trip|booking|user|zone|city|sos|presence):(.*)$/s.exec(topic);
  if (!match || !userId.pattern.test(match[2]!)) {
    throw invalidInput(
      'topic',
      `trip:<id>, order:<id>, booking:<id>, user:<id>, presence:<user id>, zone:<h3>, city:<city> or sos:alerts; the id is ${userId.rule}`,
    );
  }
  const [, kind, name] = match as unknown as [string, string, string];
  if (kind === 'trip') {
    const heardFrom = () => tripHeardFrom(principal, name, services);
    return (await heardFrom()) === 0 ? null : heardFrom;
  }
  if (!(await mayFollow(principal, kind, name, services))) throw mayNot(principal, topic);
  return null;
}

const mayNot = ({ role }: Principal, topic: string): RideError =>
  new RideError('RIDE_FORBIDDEN', `A ${role} may not follow ${topic}`, {
    field: 'topic',
    rule: 'a topic that the caller may follow',
  });

async function tripHeardFrom(principal: Principal, tripId: string, { trips, chat }: TopicServices): Promise<number> {
  const trip = await trips.any(tripId);
  if (!trip) throw notFound('trip', tripId, 'topic');
  if (!trips.mayRead(principal, trip)) throw mayNot(principal, `${TRIP}${tripId}`);
  return chat.heardFrom(principal, trip);
}

async function mayFollow(principal: Principal, kind: string, name: string, services: TopicServices): Promise<boolean> {
  switch (kind) {
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
