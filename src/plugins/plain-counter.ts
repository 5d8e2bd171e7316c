/**
 * A counter that counts in plain numbers, for what is counted several times a message. prom-client's own looks for the series of a
 * label set by its hash and checks what it is given each time. What it exports is the same.
 */
import type { Metric, Registry } from 'prom-client';

export interface PlainCounterOptions {
  name: string;
  help: string;
  labelNames: readonly string[];
  registers: readonly Registry[];
}

/** What is counted under one set of labels; add to `value`. */
export interface Count {
  value: number;
}

interface Series extends Count {
  labels: Record<string, string>;
}

export class PlainCounter {
  readonly name: string;
  readonly help: string;
  readonly type = 'counter';
  readonly aggregator = 'sum';
  readonly #labelNames: readonly string[];
  readonly #all: Series[] = [];

  constructor({ name, help, labelNames, registers }: PlainCounterOptions) {
    this.name = name;
    this.help = help;
    this.#labelNames = labelNames;
    for (const registry of registers) registry.registerMetric(this as unknown as Metric);
  }

  /** A new series; to be asked for once for the same values, in the order of the names. */
  series(...values: string[]): Count {
    const labels = Object.fromEntries(this.#labelNames.map((name, i) => [name, values[i]!]));
    const series = { labels, value: 0 };
    this.#all.push(series);
    return series;
  }

  /** As prom-client asks every metric. */
  async get() {
    const values = this.#all.map(({ labels, value }) => ({ labels: { ...labels }, value }));
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator, values };
  }

  reset(): void {
    for (const series of this.#all) series.value = 0;
  }
}
