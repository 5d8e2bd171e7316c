/** Medians over rounds and percentiles over samples. */

export function percentile(sorted: ArrayLike<number>, p: number): number {
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)]!;
}

export function median(values: readonly number[]): number {
  const sorted = values.filter((v) => !Number.isNaN(v)).sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The medians of each number of several records of one shape. */
export function medians<T extends object>(rounds: readonly T[]): T {
  const names = Object.keys(rounds[0]!) as (keyof T)[];
  const entries = names.map((name) => {
    const values = rounds.map((round) => round[name]);
    return [name, typeof values[0] === 'number' ? median(values as number[]) : values[0]];
  });
  return Object.fromEntries(entries) as T;
}

export interface Latency {
  samples: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
}

/** A bounded store of samples; once full, each further one replaces a place in turn. */
export class Samples {
  readonly #values: Float64Array;
  #count = 0;

  constructor(capacity = 200_000) {
    this.#values = new Float64Array(capacity);
  }

  add(ms: number): void {
    this.#values[this.#count++ % this.#values.length] = ms;
  }

  clear(): void {
    this.#count = 0;
  }

  summary(): Latency {
    const sorted = this.#values.slice(0, Math.min(this.#count, this.#values.length)).sort();
    return {
      samples: sorted.length,
      p50Ms: percentile(sorted, 0.5),
      p95Ms: percentile(sorted, 0.95),
      p99Ms: percentile(sorted, 0.99),
    };
  }
}
