/**
 * The metrics of several workers as those of one server. Counts are summed, other values as their metric says (sum, average,
 * largest); what a worker that ended had counted stays in the sums, so that no counter ever goes back.
 */
import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client';
import type { MetricsSnapshot } from './metrics.ts';

export interface MeasuredWorker {
  readonly number: number;
  readonly up: boolean;
  readonly restarts: number;
  /** What it had counted when it was asked last; empty since it ended. */
  readonly counted: MetricsSnapshot;
  /** Asks it. Resolves also when it does not answer. */
  ask(): Promise<void>;
}

export interface WorkerMetrics {
  readonly contentType: string;
  /** In Prometheus's text format. */
  metrics(): Promise<string>;
  /** A worker ended, having counted this. */
  retire(counted: MetricsSnapshot): void;
}

/** Metrics that only ever grow. The type's name is a string here, whatever prom-client's own types say. */
const GROWING: readonly string[] = ['counter', 'histogram'];

/** What is known of each worker, by its number. */
function workerRegistry(workers: readonly MeasuredWorker[]): Registry {
  const registry = new Registry();
  const common = { labelNames: ['worker'], registers: [registry] };
  const lastValue = (counted: MetricsSnapshot, name: string): number =>
    counted.find((metric) => metric.name === name)?.values[0]?.value ?? 0;
  const gauge = (name: string, help: string, read: (worker: MeasuredWorker) => number): void => {
    new Gauge({
      name,
      help,
      ...common,
      collect() {
        for (const worker of workers) this.set({ worker: String(worker.number) }, read(worker));
      },
    });
  };
  gauge('ride_worker_up', 'Whether the worker serves', ({ up }) => (up ? 1 : 0));
  gauge('ride_worker_sessions', 'Sessions of the worker', ({ counted }) =>
    lastValue(counted, 'ride_stream_active_sessions'),
  );
  gauge('ride_worker_resident_memory_bytes', 'Resident memory of the worker', ({ counted }) =>
    lastValue(counted, 'process_resident_memory_bytes'),
  );
  new Counter({
    name: 'ride_worker_restarts_total',
    help: 'How often the worker was started again',
    ...common,
    collect() {
      this.reset();
      for (const worker of workers) this.inc({ worker: String(worker.number) }, worker.restarts);
    },
  });
  return registry;
}

/** `workers` may grow. */
export function createWorkerMetrics(workers: readonly MeasuredWorker[]): WorkerMetrics {
  const each = workerRegistry(workers);
  const retired: MetricsSnapshot[] = [];
  let folding = false;

  /** Many who ended become one. */
  async function fold(): Promise<void> {
    if (folding || retired.length < 2) return;
    folding = true;
    const count = retired.length;
    const sum = await AggregatorRegistry.aggregate([...retired]).getMetricsAsJSON();
    retired.splice(0, count, sum);
    folding = false;
  }

  return {
    contentType: each.contentType,

    async metrics() {
      await Promise.all(workers.map((worker) => worker.ask()));
      await fold();
      // From one moment: a worker that ends is either here or among the retired.
      const all = AggregatorRegistry.aggregate([...retired, ...workers.map((worker) => worker.counted)]);
      const own = each.metrics();
      return `${await all.metrics()}\n${await own}`;
    },

    retire(counted) {
      const growing = counted.filter((metric) => GROWING.includes(String(metric.type)));
      if (growing.length > 0) retired.push(growing);
    },
  };
}
