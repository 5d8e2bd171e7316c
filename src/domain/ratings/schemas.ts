/** Ratings on the REST wire. */
import { type Static, Type } from 'typebox';
import { after, DRIVER_ID, RIDER_ID, TRIP_ID } from '../examples.ts';
import { Closed, EpochMs, OneOf } from '../schemas.ts';
import type { Rating } from './rating.ts';
import { type RatedRole, type Reputation, ratedRoles, STARS_MAX, STARS_MIN } from './rules.ts';

const Stars = Type.Integer({ minimum: STARS_MIN, maximum: STARS_MAX });

export const RatingInputSchema = Type.Object(
  { stars: Stars, comment: Type.Optional(Type.String({ minLength: 1, maxLength: 500 })) },
  { ...Closed, title: 'RatingInput', examples: [{ stars: 5, comment: 'a calm ride' }] },
);

const ratingExample = {
  trip_id: TRIP_ID,
  rater_id: RIDER_ID,
  rater_role: 'rider',
  subject_id: DRIVER_ID,
  subject_role: 'driver',
  stars: 5,
  comment: 'a calm ride',
  created_at: after(1900),
};

export const RatingSchema = Type.Object(
  {
    trip_id: Type.String(),
    rater_id: Type.String(),
    rater_role: OneOf(ratedRoles),
    subject_id: Type.String({ description: 'who is rated' }),
    subject_role: OneOf(ratedRoles),
    stars: Stars,
    comment: Type.Optional(Type.String()),
    created_at: EpochMs,
  },
  { title: 'Rating', description: 'What one side of a trip says of the other', examples: [ratingExample] },
);

export const RatingListSchema = Type.Object(
  { items: Type.Array(RatingSchema) },
  {
    title: 'RatingList',
    description: 'What was said of a trip, the first first',
    examples: [{ items: [ratingExample] }],
  },
);

const ReputationSchema = Type.Object({
  count: Type.Integer({ minimum: 0, description: 'of the last 500 ratings at most' }),
  average: Type.Union([Type.Number({ minimum: STARS_MIN, maximum: STARS_MAX }), Type.Null()], {
    description: 'of these, to two decimals; null when there are none',
  }),
});

export const UserRatingSchema = Type.Object(
  { user_id: Type.String(), as_rider: ReputationSchema, as_driver: ReputationSchema },
  {
    title: 'UserRating',
    description: 'What others think of riding with a user',
    examples: [{ user_id: DRIVER_ID, as_rider: { count: 0, average: null }, as_driver: { count: 212, average: 4.87 } }],
  },
);

export const toRatingWire = (r: Rating): Static<typeof RatingSchema> => ({
  trip_id: r.tripId,
  rater_id: r.raterId,
  rater_role: r.raterRole,
  subject_id: r.subjectId,
  subject_role: r.subjectRole,
  stars: r.stars,
  ...(r.comment === undefined ? {} : { comment: r.comment }),
  created_at: r.createdAt,
});

const toReputationWire = ({ count, sum }: Reputation): Static<typeof ReputationSchema> => ({
  count,
  average: count === 0 ? null : Math.round((100 * sum) / count) / 100,
});

export const toUserRatingWire = (
  userId: string,
  reputations: Record<RatedRole, Reputation>,
): Static<typeof UserRatingSchema> => ({
  user_id: userId,
  as_rider: toReputationWire(reputations.rider),
  as_driver: toReputationWire(reputations.driver),
});
