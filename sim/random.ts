/**
 * Seeded randomness for the simulator: one seed gives the same city, the same drivers and the same choices on every run.
 * Choices about a pair (this driver, that trip) are drawn from a hash of the pair and not from a running stream, so that
 * they stay the same when timing changes which of them comes first.
 */

/** A stream of numbers in [0, 1). */
export type Draw = () => number;

/** 32-bit FNV-1a of a string, finished by a murmur mix so that close strings give far numbers. */
export function hash32(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** One number in [0, 1) that depends on nothing but its arguments. */
export function chance(...parts: (string | number)[]): number {
  return hash32(parts.join('\u0000')) / 2 ** 32;
}

/** A repeatable stream (mulberry32); each distinct `parts` gives an independent one. */
export function createDraw(...parts: (string | number)[]): Draw {
  let state = hash32(parts.join('\u0000'));
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A standard normal draw (Box–Muller). */
export function drawNormal(draw: Draw): number {
  return Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
}

/** Cumulative sums of weights, for `pick`. Throws when they do not sum to more than zero. */
export function cumulate(weights: readonly number[]): number[] {
  let sum = 0;
  const sums = weights.map((weight) => {
    sum += weight;
    return sum;
  });
  if (!(sum > 0)) throw new RangeError('weights must sum to more than zero');
  return sums;
}

/** Index drawn in proportion to the weights behind `sums`. `at` is in [0, 1). */
export function pick(sums: readonly number[], at: number): number {
  const target = at * sums[sums.length - 1]!;
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const mid = (low + high) >>> 1;
    if (sums[mid]! > target) high = mid;
    else low = mid + 1;
  }
  return low;
}
