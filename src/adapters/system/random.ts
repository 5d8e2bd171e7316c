/** Randomness from the system's generator, drawn in bulk: a call a few bytes at a time costs more than the bytes. */
import { randomFillSync } from 'node:crypto';
import type { Random } from '../../ports/random.ts';

const POOL_BYTES = 4096;

export function createRandom(): Random {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return {
    bytes(n) {
      if (n > POOL_BYTES) return randomFillSync(new Uint8Array(n));
      if (used + n > POOL_BYTES) {
        randomFillSync(pool);
        used = 0;
      }
      used += n;
      return pool.slice(used - n, used);
    },
  };
}
