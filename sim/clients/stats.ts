/** What a client process counts, and the report of it that goes to the parent every second. */
import { Latency, type LatencyCounts } from '../latency.ts';

/** Names are part of the summary; each is measured at the client. */
export type LatencyName = 'request' | 'accept' | 'step' | 'location' | 'event';

export interface StatsReport {
  /** Totals since the start, and present numbers (drivers online, trips open). */
  counts: Record<string, number>;
  /** Since the last report. */
  latencies: Partial<Record<LatencyName, LatencyCounts>>;
}

export class Stats {
  private readonly counts: Record<string, number> = {};
  private readonly latencies = new Map<LatencyName, Latency>();

  add(name: string, by = 1): void {
    this.counts[name] = (this.counts[name] ?? 0) + by;
  }

  /** The larger of what was noted so far and `value`. */
  most(name: string, value: number): void {
    this.counts[name] = Math.max(this.counts[name] ?? 0, value);
  }

  took(name: LatencyName, ms: number): void {
    let latency = this.latencies.get(name);
    if (!latency) {
      latency = new Latency();
      this.latencies.set(name, latency);
    }
    latency.add(ms);
  }

  report(): StatsReport {
    const latencies = Object.fromEntries([...this.latencies].map(([name, latency]) => [name, latency.take()]));
    return { counts: { ...this.counts }, latencies };
  }
}
