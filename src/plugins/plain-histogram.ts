/**
 * A histogram that counts in plain numbers, for what is measured thousands of times a second: requests and messages.
 * prom-client's own makes, checks and sorts label objects for every value, which on a busy server is a tenth of a request. What it
 * exports is the same.
 */
import type { Metric, Registry } from 'prom-client';

export interface PlainHistogramOptions {
  name: string;
  help: string;
  labelNames: readonly string[];
  /** Upper bounds, seconds, rising. */
  buckets: readonly number[];
  registers: readonly Registry[];
}

type Labels = Record<string, string | number>;

interface Series {
  labels: Labels;
  /** Values in each bucket, not in those below it; the last is beyond all bounds. */
  counts: number[];
  sum: number;
  count: number;
}

interface Exported {
  metricName: string;
  labels: Labels;
  value: number;
}

interface Level extends Map<string | number, Level | Series> {}

export class PlainHistogram {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #labelNames: readonly string[];
  readonly #bounds: readonly number[];
  readonly #all: Series[] = [];
  /** The series by the values of its labels, one level a label. */
  #series: Level = new Map();

  constructor({ name, help, labelNames, buckets, registers }: PlainHistogramOptions) {
    this.name = name;
    this.help = help;
    this.#labelNames = labelNames;
    this.#bounds = buckets;
    // Without labels there is one series, from the beginning.
    if (labelNames.length === 0) this.#seriesOf({});
    for (const registry of registers) registry.registerMetric(this as unknown as Metric);
  }

  /** `labels` has a value for every name. */
  observe(labels: Labels, seconds: number): void {
    const series = this.#seriesOf(labels);
    let bucket = 0;
    while (bucket < this.#bounds.length && seconds > this.#bounds[bucket]!) bucket++;
    series.counts[bucket]!++;
    series.sum += seconds;
    series.count++;
  }

  /** As prom-client asks every metric. */
  async get() {
    const values: Exported[] = [];
    for (const { labels, counts, sum, count } of this.#all) {
      let below = 0;
      for (const [i, le] of this.#bounds.entries()) {
        below += counts[i]!;
        values.push({ metricName: `${this.name}_bucket`, labels: { le, ...labels }, value: below });
      }
      values.push({ metricName: `${this.name}_bucket`, labels: { le: '+Inf', ...labels }, value: count });
      values.push({ metricName: `${this.name}_sum`, labels: { ...labels }, value: sum });
      values.push({ metricName: `${this.name}_count`, labels: { ...labels }, value: count });
    }
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator, values };
  }

  reset(): void {
    this.#all.length = 0;
    this.#series = new Map();
    if (this.#labelNames.length === 0) this.#seriesOf({});
  }

  #seriesOf(labels: Labels): Series {
    let level = this.#series;
    const last = this.#labelNames.length - 1;
    for (let i = 0; i < last; i++) {
      const value = labels[this.#labelNames[i]!]!;
      let next = level.get(value) as Level | undefined;
      if (next === undefined) {
        next = new Map();
        level.set(value, next);
      }
      level = next;
    }
    const value = labels[this.#labelNames[last]!]!;
    let series = level.get(value) as Series | undefined;
    if (series === undefined) {
      series = { labels: { ...labels }, counts: new Array(this.#bounds.length + 1).fill(0), sum: 0, count: 0 };
      level.set(value, series);
      this.#all.push(series);
    }
    return series;
  }
}
