/**
 * How long the machine stood still, for promises in wall time: what a busy or throttled machine takes for anything is not the fault of
 * whatever is measured on it. A small round goes on all the time (a turn of this process, an answer of Redis, a write to the disk); when
 * one takes far longer than it should, nobody could get anything done meanwhile.
 */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectRedis } from '../src/adapters/redis/connection.ts';
import type { TestScope } from './helper.ts';

/** Pause between rounds. */
const EVERY_MS = 5;
/** A round with its pause takes some milliseconds; on a machine that does much else besides, some more. */
const USUAL_MS = 50;

export interface Machine {
  /** How much of a span of `performance.now()` was spent in rounds that took too long, milliseconds. */
  stoodMs(from: number, to: number): number;
}

/** Watches until the test ends. */
export async function watchMachine(t: TestScope, redisUrl: string): Promise<Machine> {
  const redis = connectRedis({ url: redisUrl }, () => {});
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-machine-'));
  const file = await open(join(folder, 'round'), 'w');
  const slow: [from: number, to: number][] = [];
  let begunAt = performance.now();
  let isOver = false;

  async function round(): Promise<void> {
    const written = file.write('round', 0).then(() => file.datasync());
    // A Redis that the test has taken away stands still for all.
    await Promise.all([redis.ping().catch(() => {}), written]);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    const now = performance.now();
    if (now - begunAt > USUAL_MS) slow.push([begunAt, now]);
    begunAt = now;
  }

  const rounds = (async () => {
    while (!isOver) await round();
  })();
  t.after(async () => {
    isOver = true;
    await rounds;
    redis.disconnect();
    await file.close();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    stoodMs(from, to) {
      const unfinished: [number, number][] = to - begunAt > USUAL_MS ? [[begunAt, to]] : [];
      return [...slow, ...unfinished].reduce(
        (sum, [a, b]) => sum + Math.max(0, Math.min(b, to) - Math.max(a, from)),
        0,
      );
    },
  };
}
