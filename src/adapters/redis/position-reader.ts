/**
 * Reads positions. Those that are asked for in one turn of the event loop, or while others are on their way, come by one round trip
 * and as one string, which costs a busy node a small part of what a reply of its own for each would.
 */
import type { Position } from '../../ports/positions.ts';
import { redisAway } from './connection.ts';
import { ParsedPositions, parsePosition } from './parsed-positions.ts';
import { POSITION_FIELDS } from './position-fields.ts';
import type { ScriptedRedis } from './scripts.ts';
import { sendAll } from './slots.ts';

/** Keys of one script, which holds up Redis while it runs. */
const KEYS_MAX = 256;
/** So many do not wait for others to come back, so that Redis and this process work at the same time; and none waits longer than this. */
const ENOUGH = 32;
const WAIT_MAX_MS = 2;

/**
 * KEYS positions of any slots: for a single server only
 * reply: for each key a line of JSON, its values in the order of the fields, false where there is none, or the text of its error
 */
const readPositions = `
local found = {}
for i, key in ipairs(KEYS) do
  local values = redis.pcall('HMGET', key, ${POSITION_FIELDS.map((field) => `'${field}'`).join(', ')})
  found[i] = cjson.encode(values.err or values)
end
return table.concat(found, '\\n')
`;

/** Whoever asks for one position before it is asked of Redis shares the answer. */
interface Asked {
  position: Promise<Position | null>;
  isFollowed: boolean;
  resolve(position: Position | null): void;
  reject(error: Error): void;
}

function asked(isFollowed: boolean): Asked {
  const { promise, resolve, reject } = Promise.withResolvers<Position | null>();
  return { position: promise, isFollowed, resolve, reject };
}

/**
 * @param answered told how many positions were read, of drivers who have one or not
 * @returns reads the position under a key; null when there is none. Rejects with RIDE_UNAVAILABLE. Of one that is followed, asked for
 *   again and again, it answers with the same object while nothing of it changed.
 */
export function createPositionReader(
  redis: ScriptedRedis,
  answered: (count: number) => void = () => {},
): (key: string, isFollowed?: boolean) => Promise<Position | null> {
  redis.defineCommand('rideReadPositions', { lua: readPositions });
  const scripts = redis as unknown as { rideReadPositions(count: number, ...keys: string[]): Promise<string> };
  const parsed = new ParsedPositions();
  let waiting = new Map<string, Asked>();
  /** Round trips whose answers are not here yet. */
  let underWay = 0;
  let timer: NodeJS.Timeout | null = null;
  /** What waits is sent at the end of this turn of the event loop. */
  let isDue = false;

  /** Keys of a cluster lie on many nodes, which no script spans. */
  async function findOnCluster(keys: readonly string[]): Promise<string[]> {
    const replies = await sendAll(
      redis,
      keys.map((key) => ['hmget', key, ...POSITION_FIELDS]),
    );
    return replies.map(([error, values]) => JSON.stringify(error ? error.message : values));
  }

  async function settle(keys: readonly string[], waiters: readonly Asked[]): Promise<void> {
    let found: readonly string[];
    try {
      found = redis.isCluster
        ? await findOnCluster(keys)
        : (await scripts.rideReadPositions(keys.length, ...keys)).split('\n');
    } catch (error) {
      for (const { reject } of waiters) reject(redisAway(error));
      return;
    }
    let count = 0;
    for (let i = 0; i < waiters.length; i++) {
      const { isFollowed, resolve, reject } = waiters[i]!;
      try {
        resolve(isFollowed ? parsed.of(keys[i]!, found[i]!) : parsePosition(found[i]!));
        count++;
      } catch (error) {
        reject(redisAway(error));
      }
    }
    answered(count);
  }

  async function take(keys: readonly string[], waiters: readonly Asked[]): Promise<void> {
    underWay++;
    await settle(keys, waiters);
    underWay--;
    if (waiting.size > 0) sendLater();
  }

  function send(): void {
    if (timer) clearTimeout(timer);
    timer = null;
    const keys = [...waiting.keys()];
    const waiters = [...waiting.values()];
    waiting = new Map();
    for (let from = 0; from < keys.length; from += KEYS_MAX)
      void take(keys.slice(from, from + KEYS_MAX), waiters.slice(from, from + KEYS_MAX));
  }

  function sendLater(): void {
    if (isDue) return;
    isDue = true;
    setImmediate(() => {
      isDue = false;
      send();
    });
  }

  return (key, isFollowed = false) => {
    let one = waiting.get(key);
    if (!one) {
      one = asked(isFollowed);
      waiting.set(key, one);
      if (waiting.size === ENOUGH) send();
      else if (waiting.size > 1) {
        // Whoever was first has seen to it.
      } else if (underWay === 0) sendLater();
      else timer = setTimeout(send, WAIT_MAX_MS);
    }
    return one.position;
  };
}
