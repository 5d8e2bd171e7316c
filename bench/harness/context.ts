/** What every case is given: the ground it stands on, how big it shall be, and how it alternates between servers. */
import type { Ground } from './ride.ts';

export type Size = 'full' | 'quick' | 'tiny';

export interface Context {
  ground: Ground;
  size: Size;
  rounds: number;
  /** How long a case that holds something holds it, instead of its own time. */
  holdMs?: number;
  log(line: string): void;
}

/** `full` for figures, `quick` to see that all is well, `tiny` for tests. */
export const bySize = <T>(context: Context, full: T, quick: T, tiny: T): T => ({ full, quick, tiny })[context.size];

export interface Contender<R> {
  name: string;
  run(): Promise<R>;
}

/**
 * Runs every contender once a round, in an order that turns with the round, so that what the machine does meanwhile falls on
 * all alike. Resolves the results of each, in the order of rounds.
 */
export async function alternate<R>(context: Context, contenders: readonly Contender<R>[]): Promise<Map<string, R[]>> {
  const results = new Map<string, R[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < context.rounds; round++) {
    for (let i = 0; i < contenders.length; i++) {
      const contender = contenders[(i + round) % contenders.length]!;
      const startedAt = performance.now();
      results.get(contender.name)!.push(await contender.run());
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      context.log(`  round ${round + 1} of ${context.rounds}: ${contender.name} (${seconds} s)`);
    }
  }
  return results;
}
