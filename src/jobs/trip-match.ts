/** Looks again for a driver when there was none. */
import type { Dispatch } from '../domain/dispatch/service.ts';
import type { JobDefinition } from '../ports/jobs.ts';
import type { ScheduledWork } from '../ports/scheduler.ts';

export const tripMatchJob = (dispatch: Dispatch): JobDefinition<ScheduledWork['trip_match']> => ({
  name: 'trip_match',
  queue: 'high',
  attempts: 5,
  backoffMs: 200,
  async run({ tripId }) {
    await dispatch.match(tripId);
  },
});
