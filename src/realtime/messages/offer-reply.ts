/** A driver takes or declines an offer. The ack means the trip is his. */
import { invalidInput } from '../../errors.ts';
import { defineClientMessage } from './definition.ts';

const MAX_REASON = 200;

export const offerReply = defineClientMessage({
  kind: 'offer_reply',
  case: 'offerReply',
  roles: ['driver'],
  rate: 'general',
  doc: 'Accepts or declines a job offer. A loser of the race gets RIDE_OFFER_CLOSED or RIDE_DRIVER_BUSY.',
  example: {
    offer_id: 'ofr_nyc_01jd0000000000000000000000',
    trip_id: 'trip_nyc_01jd0000000000000000000000',
    accept: true,
  },
  async handle(session, { offerId, tripId, accept, reason }, { dispatch }) {
    if (offerId === '') throw invalidInput('offer_id', 'the id of the offer');
    if (tripId === '') throw invalidInput('trip_id', 'the id of the offered trip');
    if (reason.length > MAX_REASON) throw invalidInput('reason', `at most ${MAX_REASON} characters`);
    const { userId } = session.principal;
    if (accept) await dispatch.accept(tripId, offerId, userId);
    else await dispatch.decline(tripId, offerId, userId, reason);
    return { id: tripId };
  },
});
