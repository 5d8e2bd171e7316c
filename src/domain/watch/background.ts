/** What the watch sets going and does not wait for: a position must never wait for a write. */
import type { Logger } from '../../ports/logger.ts';

/** Runs `work`, whose failure is logged as `what`; `undo` lets a later position try again. The promise never rejects. */
export type Background = (work: Promise<unknown>, what: string, driverId: string, undo?: () => void) => Promise<void>;

export function createBackground(log: Logger): { run: Background; idle(): Promise<void> } {
  const running = new Set<Promise<void>>();
  return {
    run(work, what, driverId, undo = () => {}) {
      const done = work.then(
        () => {},
        (error: unknown) => {
          undo();
          log.warn({ err: error, driver_id: driverId }, `${what}; a later position tries again`);
        },
      );
      running.add(done);
      void done.then(() => running.delete(done));
      return done;
    },

    /** Resolves when nothing runs any more. */
    async idle() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}
