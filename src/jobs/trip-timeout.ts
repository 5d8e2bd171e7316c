/** At a trip's deadline for finding a driver: one last look, then it expires honestly. */
import type { Dispatch } from '../domain/dispatch/service.ts';
import type { JobDefinition } from '../ports/jobs.ts';
import type { ScheduledWork } from '../ports/scheduler.ts';

export const tripTimeoutJob = (dispatch: Dispatch): JobDefinition<ScheduledWork['trip_timeout']> => ({
  name: 'trip_timeout',
  queue: 'normal',
  attempts: 5,
  backoffMs: 500,
  async run({ tripId }) {
    await dispatch.match(tripId);
  },
});
