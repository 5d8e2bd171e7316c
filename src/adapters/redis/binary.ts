/** Which program serves as the private Redis: REDIS_SERVER, else redis-server, else valkey-server, and new enough. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { RideError } from '../../errors.ts';

const run = promisify(execFile);

/** Older ones lack commands the server uses (XTRIM MINID, GEOSEARCH) and the queues refuse them. */
const OLDEST = [6, 2] as const;

const HOW_TO_GET =
  'set REDIS_URL to a running Redis, or REDIS_SERVER to the program, or install it (Debian: apt-get install redis-server, macOS: brew install redis)';

/**
 * @param binary REDIS_SERVER: a name on PATH or a path; undefined tries the usual names.
 * @throws RideError RIDE_UNAVAILABLE, one line that says what to do.
 */
export async function findRedisBinary(binary?: string): Promise<string> {
  const candidates = binary === undefined ? ['redis-server', 'valkey-server'] : [binary];
  for (const candidate of candidates) {
    const version = await versionOf(candidate);
    if (version === undefined) continue;
    const [major, minor] = version;
    if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return candidate;
    throw new RideError(
      'RIDE_UNAVAILABLE',
      `${candidate} is version ${major}.${minor}, Ridestream needs ${OLDEST.join('.')} or newer: ${HOW_TO_GET}`,
    );
  }
  throw new RideError('RIDE_UNAVAILABLE', `No Redis: ${candidates.join(' or ')} was not found; ${HOW_TO_GET}`);
}

/** `Redis server v=7.0.15 sha=…` → [7, 0]. Undefined when there is no such program, or it is something else. */
async function versionOf(program: string): Promise<[number, number] | undefined> {
  try {
    const { stdout } = await run(program, ['--version'], { timeout: 10_000 });
    const match = /\bv=(\d+)\.(\d+)/.exec(stdout);
    return match ? [Number(match[1]), Number(match[2])] : undefined;
  } catch {
    // Not there, not executable, or no Redis: the caller names what it looked for.
    return undefined;
  }
}
