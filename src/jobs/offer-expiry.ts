/** Closes an offer that nobody answered; the reaction to that asks the next driver. */
import type { Dispatch } from '../domain/dispatch/service.ts';
import type { JobDefinition } from '../ports/jobs.ts';
import type { ScheduledWork } from '../ports/scheduler.ts';

export const offerExpiryJob = (dispatch: Dispatch): JobDefinition<ScheduledWork['offer_expiry']> => ({
  name: 'offer_expiry',
  queue: 'critical',
  attempts: 5,
  backoffMs: 100,
  run: ({ tripId, offerId }) => dispatch.expireOffer(tripId, offerId),
});
