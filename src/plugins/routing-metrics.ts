/** How the routing engine does, what its caches save, and how right the estimates were. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { RoutingMeter } from '../ports/routing.ts';
import { PlainHistogram } from './plain-histogram.ts';

const REQUEST_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
const ERROR_BUCKETS_S = [10, 30, 60, 120, 180, 300, 600, 1200, 1800];
/** Of what it took: 0.2 is the goal of the median. */
const ERROR_BUCKETS_SHARE = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1, 2];
const BREAKER_VALUE = { closed: 0, half_open: 1, open: 2 } as const;

export function createRoutingMeter(registry: Registry): RoutingMeter {
  const registers = [registry];
  const requests = new PlainHistogram({
    name: 'ride_routing_request_seconds',
    help: 'Requests to the routing engine, with their repeats',
    labelNames: ['engine', 'outcome'],
    buckets: REQUEST_BUCKETS_S,
    registers,
  });
  const cache = new Counter({
    name: 'ride_routing_cache_total',
    help: 'Ways sought among those remembered',
    labelNames: ['level', 'result'],
    registers,
  });
  const breaker = new Gauge({
    name: 'ride_routing_breaker_state',
    help: 'Breaker of the routing engine: 0 closed, 1 half open, 2 open',
    labelNames: ['engine'],
    // Of several workers the one that is worst off.
    aggregator: 'max',
    registers,
  });
  const estimates = new Counter({
    name: 'ride_eta_estimates_total',
    help: 'Estimates given, by where they came from',
    labelNames: ['source'],
    registers,
  });
  const errorS = new PlainHistogram({
    name: 'ride_eta_error_seconds',
    help: 'Difference between the estimate and the arrival',
    labelNames: ['leg', 'source', 'arrival'],
    buckets: ERROR_BUCKETS_S,
    registers,
  });
  const errorShare = new PlainHistogram({
    name: 'ride_eta_error_ratio',
    help: 'Difference between the estimate and the arrival, as a share of the time it took',
    labelNames: ['leg', 'source'],
    buckets: ERROR_BUCKETS_SHARE,
    registers,
  });
  return {
    asked: (engine, outcome, seconds) => requests.observe({ engine, outcome }, seconds),
    cached: (level, result, count) => cache.inc({ level, result }, count),
    breaker: (engine, state) => breaker.set({ engine }, BREAKER_VALUE[state]),
    answered: (source, count) => estimates.inc({ source }, count),
    arrived(leg, source, toldS, tookS) {
      // A clock that ran backwards, or an arrival tapped at once, has no share to be wrong by.
      if (!(tookS > 0)) return;
      const wrongS = Math.abs(toldS - tookS);
      errorS.observe({ leg, source, arrival: tookS > toldS ? 'late' : 'early' }, wrongS);
      errorShare.observe({ leg, source }, wrongS / tookS);
    },
  };
}
