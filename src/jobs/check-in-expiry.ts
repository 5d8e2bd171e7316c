/** A rider did not say whether all is well: his silence becomes an SOS. */
import type { CheckIns } from '../domain/check-ins/service.ts';
import type { JobDefinition } from '../ports/jobs.ts';
import type { ScheduledWork } from '../ports/scheduler.ts';

export const checkInExpiryJob = (checkIns: CheckIns): JobDefinition<ScheduledWork['check_in_expiry']> => ({
  name: 'check_in_expiry',
  queue: 'critical',
  attempts: 10,
  backoffMs: 100,
  run: ({ tripId, round }) => checkIns.expire(tripId, round),
});
