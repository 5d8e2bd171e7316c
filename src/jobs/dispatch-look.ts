/** Looks again for drivers for those of a cohort who still wait, and ends what has waited too long. */
import type { Dispatch } from '../domain/dispatch/service.ts';
import type { JobDefinition } from '../ports/jobs.ts';
import type { ScheduledWork } from '../ports/scheduler.ts';

export const dispatchLookJob = (dispatch: Dispatch): JobDefinition<ScheduledWork['dispatch_look']> => ({
  name: 'dispatch_look',
  queue: 'high',
  attempts: 5,
  backoffMs: 200,
  async run(look) {
    await dispatch.matchCohort(look);
  },
});
