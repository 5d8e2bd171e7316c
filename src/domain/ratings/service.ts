/**
 * The two sides of a trip rate each other when it is over. The rating is one document, made once, with its event; that the driver's
 * reputation counts in dispatch from then on is a reaction to it. Neither side is told what the other said: operators are, and other
 * systems.
 */
import { RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { EventSink } from '../../ports/event-sink.ts';
import type { OutboundMessages, Publisher } from '../../ports/publisher.ts';
import type { Collection, OutboxEvent } from '../../ports/store.ts';
import { type AnyTrip, isDeparture } from '../departures/departure.ts';
import { isTaken } from '../documents/writing.ts';
import type { Drivers } from '../drivers/service.ts';
import type { Idempotency, IdempotencyKey } from '../idempotency/service.ts';
import type { Ids } from '../ids.ts';
import type { OutboxHandler, Relay } from '../outbox/relay.ts';
import type { Presence } from '../presence/service.ts';
import { isOperator, type Principal } from '../roles.ts';
import type { Trips } from '../trips/service.ts';
import { type Rating, ratingIdOf } from './rating.ts';
import {
  RATINGS_COUNTED,
  type Rated,
  type RatedRole,
  type RatingRefusal,
  type Reputation,
  reputationOf,
  whomToRate,
} from './rules.ts';

export interface RatingsDeps {
  ratings: Collection<Rating>;
  trips: Pick<Trips, 'follow'>;
  drivers: Pick<Drivers, 'rated'>;
  presence: Pick<Presence, 'mayFollow'>;
  idempotency: Idempotency;
  relay: () => Relay;
  publisher: Publisher;
  sink?: EventSink | undefined;
  clock: Clock;
  ids: Ids;
}

export interface RatingInput {
  stars: number;
  comment?: string;
}

const REFUSED: Record<RatingRefusal, (trip: AnyTrip) => RideError> = {
  not_a_party: () =>
    new RideError('RIDE_FORBIDDEN', 'Only who was on the trip rates it', {
      field: 'trip_id',
      rule: 'a trip of the caller',
    }),
  not_completed: ({ status, version }) =>
    new RideError('RIDE_ILLEGAL_TRANSITION', `A trip that is ${status} cannot be rated`, {
      field: 'trip_id',
      rule: 'a trip that is completed',
      facts: { status, version },
    }),
  many: () =>
    new RideError('RIDE_FORBIDDEN', 'The passengers of a departure are not rated', {
      field: 'trip_id',
      rule: 'a ride or a delivery',
    }),
  himself: () =>
    new RideError('RIDE_FORBIDDEN', 'Nobody rates himself', { field: 'trip_id', rule: 'a trip with somebody else' }),
};

export type Ratings = ReturnType<typeof createRatings>;

export function createRatings(deps: RatingsDeps) {
  const { ratings, trips, drivers, clock, ids, publisher, sink } = deps;

  /** Counted from the documents, the last first. */
  async function reputation(subjectId: string, subjectRole: RatedRole): Promise<Reputation> {
    const { items } = await ratings.page({ where: { subjectId, subjectRole }, pageSize: RATINGS_COUNTED });
    return reputationOf(items.map(({ stars }) => stars));
  }

  function toEvent(rating: Rating): OutboxEvent {
    return { id: ids.next('evt'), seq: 1, type: 'rating.given', at: rating.createdAt, data: { ...rating } };
  }

  /** False when this side has rated the trip before. */
  async function insert(rating: Rating): Promise<boolean> {
    const event = toEvent(rating);
    try {
      await ratings.insert(rating, [event]);
    } catch (error) {
      if (isTaken(error)) return false;
      throw error;
    }
    deps.relay().kick(rating.id, [event]);
    return true;
  }

  async function make(id: string, trip: AnyTrip, raterId: string, rated: Rated, input: RatingInput) {
    const rating: Rating = {
      id,
      region: trip.region,
      createdAt: clock.now(),
      version: 1,
      tripId: trip.id,
      city: trip.source.city,
      raterId,
      ...rated,
      stars: input.stars,
      ...(input.comment === undefined ? {} : { comment: input.comment }),
    };
    if (await insert(rating)) return { rating, created: true };
    const stored = await ratings.get(id);
    return stored && { rating: stored, created: false };
  }

  const messageOf = ({ data }: OutboxEvent): OutboundMessages['rating_given'] & { city: string } => {
    const { tripId, city, raterId, raterRole, subjectId, subjectRole, stars, comment, createdAt } =
      data as unknown as Rating;
    return { tripId, city, raterId, raterRole, subjectId, subjectRole, stars, comment: comment ?? '', at: createdAt };
  };

  /** What its event leads to. Safe to repeat. */
  const handler: OutboxHandler = {
    async publish(_id, event) {
      const { city, ...message } = messageOf(event);
      publisher.publishLatest(`city:${city}`, 'rating_given', message, event.id);
      return 'published';
    },
    async react(_id, event) {
      const { subjectId, subjectRole } = messageOf(event);
      if (subjectRole === 'driver') await drivers.rated(subjectId, () => reputation(subjectId, 'driver'));
    },
    ...(sink && {
      async record(_id: string, event: OutboxEvent) {
        const { city: _, ...message } = messageOf(event);
        // Each rating is a document of its own: nobody counts those of a trip.
        const { tripId: key, at } = message;
        await sink.record({ id: event.id, type: event.type, at, key, seq: 0, kind: 'rating_given', message });
      },
    }),
  };

  return {
    handler,

    /**
     * The caller's rating of the other side of a trip that is completed. A repeat of the same answers with what is stored.
     * @throws RideError RIDE_NOT_FOUND, RIDE_FORBIDDEN, RIDE_ILLEGAL_TRANSITION (facts: status, version), RIDE_ALREADY_EXISTS (facts:
     *   stars) when he rated it otherwise before, RIDE_IDEMPOTENCY_MISMATCH, RIDE_UNAVAILABLE
     */
    async give(
      principal: Principal,
      tripId: string,
      input: RatingInput,
      key?: IdempotencyKey,
    ): Promise<{ rating: Rating; created: boolean }> {
      const { userId } = principal;
      const { made, created } = await deps.idempotency.once(key, {
        async prepare() {
          const trip = await trips.follow(principal, tripId);
          const decision = whomToRate(trip, userId);
          if ('refusal' in decision) throw REFUSED[decision.refusal](trip);
          return { trip, rated: decision.rated };
        },
        newId: () => ratingIdOf(tripId, userId),
        find: async (id) => {
          const rating = await ratings.get(id);
          return rating && { rating, created: false };
        },
        make: (id, { trip, rated }) => make(id, trip, userId, rated, input),
      });
      const { stars, comment } = made.rating;
      if (stars !== input.stars || comment !== input.comment) {
        throw new RideError('RIDE_ALREADY_EXISTS', 'The trip was rated before, and otherwise', { facts: { stars } });
      }
      return { rating: made.rating, created: created && made.created };
    },

    /** Of a trip: to its two sides what each said itself, to operators all. @throws RideError RIDE_NOT_FOUND, RIDE_FORBIDDEN */
    async ofTrip(principal: Principal, tripId: string): Promise<Rating[]> {
      const trip = await trips.follow(principal, tripId);
      const where = { tripId, ...(isOperator(principal.role) ? {} : { raterId: principal.userId }) };
      // Of a ride two; of a departure one of each passenger.
      const pageSize = isDeparture(trip) ? 1000 : 10;
      return (await ratings.page({ where, direction: 'asc', pageSize })).items;
    },

    /** To the user, to operators, and to the other side of a trip while it lasts. @throws RideError RIDE_FORBIDDEN, RIDE_UNAVAILABLE */
    async ofUser(principal: Principal, userId: string): Promise<Record<RatedRole, Reputation>> {
      if (!(await deps.presence.mayFollow(principal, userId))) {
        throw new RideError('RIDE_FORBIDDEN', 'Only the other side of a trip may know what others think of someone', {
          field: 'user_id',
          rule: 'the caller or the other side of his trip',
        });
      }
      const [rider, driver] = await Promise.all([reputation(userId, 'rider'), reputation(userId, 'driver')]);
      return { rider, driver };
    },
  };
}
