/** Token buckets in Redis, one hash each under `bucket:<name>`; a bucket that is full again is forgotten. */
import type { Redis } from 'ioredis';
import type { BucketShape, TokenBuckets } from '../../ports/token-buckets.ts';
import { orAway, redisAway } from './connection.ts';

/** What both scripts begin with: the level now, from what was stored when. */
const level = `
local capacity, rate = tonumber(ARGV[1]), tonumber(ARGV[1]) / tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local stored = redis.call('HMGET', KEYS[1], 'level', 'at')
local level = capacity
if stored[1] then level = math.min(capacity, tonumber(stored[1]) + math.max(0, now - tonumber(stored[2])) * rate) end
local function keep()
  redis.call('HSET', KEYS[1], 'level', string.format('%.6f', level), 'at', string.format('%.3f', now))
  redis.call('PEXPIRE', KEYS[1], math.max(1, math.ceil((capacity - level) / rate)))
end
`;

/**
 * KEYS 1 bucket; ARGV 1 capacity, 2 window ms, 3 least, 4 most
 * reply: { granted, ms until \`least\` are there, what is left }
 */
const take = `${level}
local least = tonumber(ARGV[3])
if level < least then return { 0, math.max(1, math.ceil((least - level) / rate)), math.floor(level) } end
local granted = math.min(math.floor(level), tonumber(ARGV[4]))
level = level - granted
keep()
return { granted, 0, math.floor(level) }
`;

/** KEYS 1 bucket; ARGV 1 capacity, 2 window ms, 3 tokens. A bucket that is not there is full. */
const giveBack = `${level}
if not stored[1] then return 0 end
level = math.min(capacity, level + tonumber(ARGV[3]))
keep()
return 1
`;

interface BucketCommands {
  rideTakeTokens(key: string, ...args: number[]): Promise<[granted: number, waitMs: number, left: number]>;
  rideGiveBackTokens(key: string, ...args: number[]): Promise<number>;
}

/** Of a connection that was there. */
const GONE: ReadonlySet<string> = new Set(['close', 'reconnecting', 'end']);

const keyOf = (bucket: string): string => `bucket:${bucket}`;

export function createRedisTokenBuckets(redis: Redis): TokenBuckets {
  redis.defineCommand('rideTakeTokens', { numberOfKeys: 1, lua: take });
  redis.defineCommand('rideGiveBackTokens', { numberOfKeys: 1, lua: giveBack });
  const commands = redis as unknown as BucketCommands;
  return {
    async take(bucket, { capacity, windowMs }: BucketShape, least, most) {
      // A command would wait for the connection to come back.
      if (GONE.has(redis.status)) throw redisAway(new Error(`the connection is gone: ${redis.status}`));
      const key = keyOf(bucket);
      const reply = await orAway(commands.rideTakeTokens(key, capacity, windowMs, least, most));
      const [granted, waitMs, left] = reply;
      return { granted, waitMs, left };
    },
    giveBack(bucket, { capacity, windowMs }: BucketShape, tokens) {
      // Away: the bucket fills up by itself.
      commands.rideGiveBackTokens(keyOf(bucket), capacity, windowMs, tokens).catch(() => {});
    },
  };
}
