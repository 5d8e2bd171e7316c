/** An engine behind a circuit breaker: while it is ill, callers are told at once and go by the straight line. */
import type { RoutingEngine, RoutingMeter } from '../../ports/routing.ts';
import { createBreaker } from '../breaker.ts';
import { EngineBusy } from './http.ts';

export interface GuardOptions {
  threshold: number;
  resetMs: number;
  meter: Pick<RoutingMeter, 'breaker'>;
  now?(): number;
}

export function guardedEngine(engine: RoutingEngine, { threshold, resetMs, meter, now }: GuardOptions): RoutingEngine {
  const { name } = engine;
  meter.breaker(name, 'closed');
  const breaker = createBreaker({
    name: `The routing engine ${name}`,
    threshold,
    resetMs,
    isFailure: (error) => !(error instanceof EngineBusy),
    onChange: (state) => meter.breaker(name, state),
    now,
  });
  return {
    name,
    legsTo: (from, to, at) => breaker.run(() => engine.legsTo(from, to, at)),
    lineTo: (from, to) => breaker.run(() => engine.lineTo(from, to)),
  };
}
