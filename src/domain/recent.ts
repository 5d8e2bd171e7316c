/**
 * What is remembered of many, but not for ever: whoever was not asked for in a while is forgotten without anyone having to look
 * for him. There are two generations; when the younger is old enough it takes the place of the older, which goes as a whole.
 */
export class Recent<V extends object | true> {
  readonly #keptMs: number;
  readonly #now: () => number;
  #young = new Map<string, V>();
  #old = new Map<string, V>();
  #bornAt: number;

  /** What was set or asked for is kept for `keptMs` by `now` at least, and for twice as long at most while others are asked for. */
  constructor(keptMs: number, now: () => number) {
    this.#keptMs = keptMs;
    this.#now = now;
    this.#bornAt = now();
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: string): V | undefined {
    this.#age();
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.#renew(key, old);
    return old;
  }

  /** As `get`, but it is not kept longer for that. */
  peek(key: string): V | undefined {
    this.#age();
    return this.#young.get(key) ?? this.#old.get(key);
  }

  /** Whether it is remembered; it is not kept longer for that. */
  has(key: string): boolean {
    this.#age();
    return this.#young.has(key) || this.#old.has(key);
  }

  set(key: string, value: V): void {
    this.#age();
    this.#renew(key, value);
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }

  #renew(key: string, value: V): void {
    this.#old.delete(key);
    this.#young.set(key, value);
  }

  #age(): void {
    const now = this.#now();
    const ageMs = now - this.#bornAt;
    if (ageMs < this.#keptMs) return;
    this.#old = ageMs < 2 * this.#keptMs ? this.#young : new Map();
    this.#young = new Map();
    this.#bornAt = now;
  }
}
