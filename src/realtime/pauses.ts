/** When this node stood still: what it could not hear meanwhile is no silence of anybody's. One sum for all, whatever number of pauses it is of. */
export class Pauses {
  readonly #keptMs: number;
  /** Oldest first; wall time, epoch ms. */
  readonly #pauses: { until: number; ms: number }[] = [];

  /** @param keptMs after so long a pause explains no silence any more */
  constructor(keptMs: number) {
    this.#keptMs = keptMs;
  }

  /** Now it goes on, having stood for `ms`. */
  note(now: number, ms: number): void {
    while (this.#pauses.length > 0 && this.#pauses[0]!.until <= now - this.#keptMs) this.#pauses.shift();
    if (ms > 0) this.#pauses.push({ until: now, ms });
  }

  /** How long it stood since an instant, milliseconds. */
  since(at: number): number {
    let sum = 0;
    for (let i = this.#pauses.length - 1; i >= 0 && this.#pauses[i]!.until > at; i--) {
      const { until, ms } = this.#pauses[i]!;
      sum += Math.min(ms, until - at);
    }
    return sum;
  }
}
