/**
 * What fails for as long as Redis is away, perhaps thousands of times a second, is told once when it begins and once when it is over,
 * with how often it failed.
 */
import type { Logger } from '../../ports/logger.ts';

/** Of a cluster a part may be away while the rest answers: it is over when for so long nothing failed. */
const QUIET_MS = 5000;

/**
 * @param what fails, as a sentence of the log
 * @param now process clock, ms
 * @returns takes what came of each try: an error, or nothing
 */
export function createOutage(log: Logger, what: string, now = () => performance.now()) {
  let failures = 0;
  let failedAt = 0;
  return (error?: unknown): void => {
    if (error) {
      failedAt = now();
      if (failures++ === 0) log.warn({ err: error }, what);
    } else if (failures > 0 && now() - failedAt >= QUIET_MS) {
      log.info({ failures }, `no longer: ${what}`);
      failures = 0;
    }
  };
}
