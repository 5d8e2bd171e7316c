/**
 * Reads positions. Those that are asked for in one turn of the event loop, or while others are on their way, come by one round trip
 * and as one string, which costs a busy node a small part of what a reply of its own for each would.
 */
import type { Position } from '../../ports/positions.ts';
import { redisAway } from './connection.ts';
import { POSITION_FIELDS, positionOf } from './position-fields.ts';
import type { ScriptedRedis } from './scripts.ts';
import { sendAll } from './slots.ts';

/** Keys of one script, which holds up Redis while it runs. */
const KEYS_MAX = 256;
/** So many do not wait for others to come back, and none waits longer than this. */
const ENOUGH = 64;
const WAIT_MAX_MS = 2;

/**
 * KEYS positions of any slots: for a single server only
 * reply: JSON; for each key its values in the order of the fields, false where there is none, or the text of its error
 */
const readPositions = `
local found = {}
for i, key in ipairs(KEYS) do
  local values = redis.pcall('HMGET', key, ${POSITION_FIELDS.map((field) => `'${field}'`).join(', ')})
  found[i] = values.err or values
end
return cjson.encode(found)
`;

type Values = readonly (string | false | null)[];
/** Values, or what went wrong. */
type Found = Values | string;

interface Asked {
  key: string;
  resolve(position: Position | null): void;
  reject(error: Error): void;
}

/** @returns reads the position under a key; null when there is none. Rejects with RIDE_UNAVAILABLE. */
export function createPositionReader(redis: ScriptedRedis): (key: string) => Promise<Position | null> {
  redis.defineCommand('rideReadPositions', { lua: readPositions });
  const scripts = redis as unknown as { rideReadPositions(count: number, ...keys: string[]): Promise<string> };
  let waiting: Asked[] = [];
  /** Round trips whose answers are not here yet. */
  let underWay = 0;
  let timer: NodeJS.Timeout | null = null;

  /** Keys of a cluster lie on many nodes, which no script spans. */
  async function findOnCluster(keys: readonly string[]): Promise<Found[]> {
    const replies = await sendAll(
      redis,
      keys.map((key) => ['hmget', key, ...POSITION_FIELDS]),
    );
    return replies.map(([error, values]) => (error ? error.message : (values as Values)));
  }

  async function settle(asked: readonly Asked[]): Promise<void> {
    const keys = asked.map(({ key }) => key);
    let found: readonly Found[];
    try {
      found = redis.isCluster
        ? await findOnCluster(keys)
        : (JSON.parse(await scripts.rideReadPositions(keys.length, ...keys)) as Found[]);
    } catch (error) {
      for (const { reject } of asked) reject(redisAway(error));
      return;
    }
    for (let i = 0; i < asked.length; i++) {
      const one = found[i]!;
      if (typeof one === 'string') asked[i]!.reject(redisAway(new Error(one)));
      else asked[i]!.resolve(positionOf(one));
    }
  }

  async function take(asked: readonly Asked[]): Promise<void> {
    underWay++;
    await settle(asked);
    underWay--;
    send();
  }

  function send(): void {
    if (timer) clearTimeout(timer);
    timer = null;
    const asked = waiting;
    waiting = [];
    for (let from = 0; from < asked.length; from += KEYS_MAX) void take(asked.slice(from, from + KEYS_MAX));
  }

  return (key) =>
    new Promise((resolve, reject) => {
      const count = waiting.push({ key, resolve, reject });
      if (count === ENOUGH || (count === 1 && underWay === 0)) setImmediate(send);
      else if (count === 1) timer = setTimeout(send, WAIT_MAX_MS);
    });
}
