/**
 * Jobs that earlier versions put in the queues and this one no longer makes: each was one waiting trip's next look, or its last at the
 * deadline. Who finds them after an upgrade does what they were made for; from then on the trip waits with its cohort.
 */
import type { Dispatch } from '../domain/dispatch/service.ts';
import type { JobDefinition } from '../ports/jobs.ts';

export const earlierJobs = (dispatch: Pick<Dispatch, 'match'>): JobDefinition<{ tripId: string }>[] => {
  const look = {
    attempts: 5,
    backoffMs: 200,
    async run({ tripId }: { tripId: string }) {
      await dispatch.match(tripId);
    },
  };
  return [
    { name: 'trip_match', queue: 'high', ...look },
    { name: 'trip_timeout', queue: 'normal', ...look },
  ];
};
