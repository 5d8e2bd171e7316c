/** Latencies as counts in buckets that grow by 5 %: small to send between processes, easy to add up, p95 within 5 %. */

const GROWTH = Math.log(1.05);
const SMALLEST_MS = 0.05;

/** Counts by bucket; sparse, so that it travels well as JSON. */
export type LatencyCounts = Record<number, number>;

export class Latency {
  private counts: LatencyCounts = {};
  private total = 0;

  /** `ms` may be below zero when two clocks differ; it counts as zero. */
  add(ms: number): void {
    const bucket = ms <= SMALLEST_MS ? 0 : Math.ceil(Math.log(ms / SMALLEST_MS) / GROWTH);
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.total += 1;
  }

  merge(counts: LatencyCounts): void {
    for (const [bucket, count] of Object.entries(counts)) {
      this.counts[Number(bucket)] = (this.counts[Number(bucket)] ?? 0) + count;
      this.total += count;
    }
  }

  /** What was counted since the last call; the counter starts again from nothing. */
  take(): LatencyCounts {
    const counts = this.counts;
    this.counts = {};
    this.total = 0;
    return counts;
  }

  get count(): number {
    return this.total;
  }

  /** The upper edge, in milliseconds, of the bucket that holds the quantile (0 to 1); null when nothing was counted. */
  quantile(q: number): number | null {
    if (this.total === 0) return null;
    let left = Math.max(1, Math.ceil(q * this.total));
    for (const bucket of Object.keys(this.counts)
      .map(Number)
      .sort((a, b) => a - b)) {
      left -= this.counts[bucket]!;
      if (left <= 0) return SMALLEST_MS * Math.exp(bucket * GROWTH);
    }
    return null;
  }

  /** Share (0 to 1) of what lies at or below `ms`, by whole buckets. */
  shareWithin(ms: number): number {
    const limit = Math.log(ms / SMALLEST_MS) / GROWTH;
    let within = 0;
    for (const [bucket, count] of Object.entries(this.counts)) if (Number(bucket) <= limit + 1e-9) within += count;
    return this.total === 0 ? 0 : within / this.total;
  }
}
