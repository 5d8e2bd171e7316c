/** Dispatch as Prometheus reads it: how it decides, from how many, how long that takes, and what drivers say. */
import { Counter, type Registry } from 'prom-client';
import type { DispatchMeter } from '../ports/dispatch-meter.ts';
import { PlainHistogram } from './plain-histogram.ts';

const DECISION_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
const CANDIDATE_BUCKETS = [0, 1, 2, 3, 5, 10, 20, 40, 80];
const ETA_BUCKETS_S = [30, 60, 120, 180, 300, 420, 600, 900, 1200, 1800, 3600];
const SOUGHT_BUCKETS_S = [0.1, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300, 600];

export function createDispatchMeter(registry: Registry): DispatchMeter {
  const registers = [registry];
  const counter = (name: string, help: string, ...labelNames: string[]) =>
    new Counter({ name, help, labelNames, registers });
  const histogram = (name: string, help: string, buckets: readonly number[], ...labelNames: string[]) =>
    new PlainHistogram({ name, help, labelNames, buckets, registers });
  const decisions = counter(
    'ride_dispatch_decisions_total',
    'Trips that were decided about, at once or together with those of their window, by what came of it',
    'kind',
    'outcome',
  );
  const candidates = histogram(
    'ride_dispatch_candidates',
    'Drivers who could have been asked for a trip when it was decided',
    CANDIDATE_BUCKETS,
    'kind',
  );
  const rejected = counter(
    'ride_dispatch_rejected_total',
    'Drivers near a trip who could not be asked when it was decided',
    'reason',
  );
  const assigning = histogram('ride_dispatch_assignment_seconds', 'Choosing drivers', DECISION_BUCKETS_S, 'kind');
  const whole = histogram(
    'ride_dispatch_decision_seconds',
    'A decision with what it was made from, reserving the drivers, and writing it down',
    DECISION_BUCKETS_S,
    'kind',
  );
  const greedy = counter(
    'ride_dispatch_greedy_trips_total',
    'Trips for which the time of the assignment did not reach',
  );
  const offers = counter(
    'ride_offers_total',
    'Offers made to drivers, one for each who was asked, and how they ended',
    'outcome',
  );
  const eta = histogram(
    'ride_match_pickup_eta_seconds',
    'ETA at the pick-up of drivers who took a trip',
    ETA_BUCKETS_S,
    'source',
  );
  const sought = histogram(
    'ride_match_sought_seconds',
    'How long a driver was sought until one took the trip, domain time',
    SOUGHT_BUCKETS_S,
  );
  return {
    stopwatch() {
      const startedAt = performance.now();
      return () => (performance.now() - startedAt) / 1000;
    },
    decided(kind, trips, { assigningS, totalS, greedyTrips }) {
      for (const one of trips) {
        decisions.inc({ kind, outcome: one.reason });
        candidates.observe({ kind }, one.rankedCount);
        for (const [reason, count] of Object.entries(one.rejectedCounts)) rejected.inc({ reason }, count);
      }
      assigning.observe({ kind }, assigningS);
      whole.observe({ kind }, totalS);
      if (greedyTrips > 0) greedy.inc(greedyTrips);
    },
    offers: (outcome, count) => offers.inc({ outcome }, count),
    matched(etaS, source, soughtS) {
      eta.observe({ source }, etaS);
      sought.observe({}, soughtS);
    },
  };
}
