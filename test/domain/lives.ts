/** A node that may die in the middle of its work, beside one that lives and goes on with everything. */
import type { Test } from 'tap';
import type { Mortal } from './mortal.ts';
import { type Shared, type Stack, stack } from './stack.ts';

export interface ShortLife {
  s: Stack;
  /** What it had is let go of, as the kernel does it. Safe to repeat. */
  end(): Promise<void>;
}

export async function shortLife(t: Test, place: Shared, survivor: Stack, body: Mortal): Promise<ShortLife> {
  const last: (() => unknown)[] = [];
  // It does without workers of its own: the queues work on the node that lives.
  const s = await stack({ after: (fn) => void last.push(fn) }, place, { ...body, queues: survivor.queues });
  let ended: Promise<void> | undefined;
  const end = (): Promise<void> => {
    ended ??= (async () => {
      for (const fn of last.reverse()) await fn();
    })();
    return ended;
  };
  t.after(end);
  return { s, end };
}
