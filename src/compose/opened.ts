/**
 * What a server opens while it is put together. When that fails half-way, all of it is closed again, the last first: who builds one in his own
 * process is left with no connection, thread, lock or timer, and the reason is the one that is told.
 */
import type { Logger } from '../ports/logger.ts';

export class Opened {
  readonly #log: Logger;
  readonly #closings: { what: string; close(): unknown }[] = [];

  constructor(log: Logger) {
    this.#log = log;
  }

  /** @param what for the log @returns the part */
  add<T>(what: string, part: T, close: (part: T) => unknown): T {
    this.#closings.push({ what, close: () => close(part) });
    return part;
  }

  /** Never rejects: what fails is logged. */
  async closeAll(): Promise<void> {
    for (const { what, close } of this.#closings.splice(0).reverse()) {
      try {
        await close();
      } catch (error) {
        this.#log.warn({ err: error }, `not closed after a start that failed: ${what}`);
      }
    }
  }
}
