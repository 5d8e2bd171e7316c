/** What is under way, by Node's own context of asynchronous calls. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Trace, Tracing } from '../../ports/tracing.ts';

export function createTracing(): Tracing {
  const context = new AsyncLocalStorage<Trace | undefined>();
  return {
    current: () => context.getStore(),
    within: (trace, run) => context.run(trace, run),
    apart: (run) => context.run(undefined, run),
  };
}
