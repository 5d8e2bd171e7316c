/** Decides together what gathered in a city's window; its key lets one node do it. What it leaves, the next window takes. */
import type { Dispatch } from '../domain/dispatch/service.ts';
import type { JobDefinition } from '../ports/jobs.ts';
import type { ScheduledWork } from '../ports/scheduler.ts';

export const dispatchWindowJob = (dispatch: Dispatch): JobDefinition<ScheduledWork['dispatch_window']> => ({
  name: 'dispatch_window',
  queue: 'high',
  attempts: 5,
  backoffMs: 200,
  async run({ city, at }) {
    await dispatch.matchWindow(city, at);
  },
});
