/**
 * Lua scripts, each one atomic step. The header of each lists keys, arguments and reply. All keys of a script hash to one
 * slot, so that they run on Redis Cluster too.
 */
import type { Redis } from 'ioredis';

/**
 * KEYS 1 memory of the topic (hash: epoch, offset, s:<source> = last seq), 2 history (stream, id = <offset>-0)
 * ARGV 1 topic, 2 payload, 3 source or '', 4 seq, 5 restart 0|1, 6 epoch for a new memory, 7 history length, 8 ttl ms, 9 publish command
 * reply: 'published' | 'duplicate' | 'gap' | 'unknown'
 */
const publishOrdered = `
local memory, history = KEYS[1], KEYS[2]
local source, seq = ARGV[3], tonumber(ARGV[4])
if source ~= '' then
  local last = redis.call('HGET', memory, 's:' .. source)
  if last and seq <= tonumber(last) then return 'duplicate' end
  if ARGV[5] == '1' then
    if last or redis.call('EXISTS', memory) == 1 then redis.call('DEL', memory, history) end
  elseif last and seq > tonumber(last) + 1 then return 'gap'
  elseif not last and seq ~= 1 then return 'unknown' end
end
local epoch = redis.call('HGET', memory, 'epoch')
if not epoch then
  epoch = ARGV[6]
  redis.call('DEL', history)
  redis.call('HSET', memory, 'epoch', epoch)
end
local offset = redis.call('HINCRBY', memory, 'offset', 1)
if source ~= '' then redis.call('HSET', memory, 's:' .. source, seq) end
redis.call('XADD', history, 'MAXLEN', ARGV[7], offset .. '-0', 'p', ARGV[2])
redis.call('PEXPIRE', memory, ARGV[8])
redis.call('PEXPIRE', history, ARGV[8])
redis.call(ARGV[9], ARGV[1], epoch .. ' ' .. offset .. '\\n' .. ARGV[2])
return 'published'
`;

/**
 * KEYS 1 position hash; ARGV 1 timestamp, 2 ttl ms, 3… field, value, …
 * reply: the timestamp that was stored before, or ''; kept unless that is larger than ours
 */
const recordPosition = `
local stored = redis.call('HGET', KEYS[1], 'timestamp')
if stored and tonumber(stored) > tonumber(ARGV[1]) then return stored end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'timestamp', ARGV[1], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return stored or ''
`;

/** KEYS 1 reservation; ARGV 1 offer id. reply: 1 freed, 0 held by another or none */
const releaseReservation = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`;

/** The scripts as commands of a connection. */
export interface ScriptedRedis extends Redis {
  ridePublishOrdered(
    memory: string,
    history: string,
    topic: string,
    payload: Buffer,
    source: string,
    seq: number,
    restart: '0' | '1',
    epoch: string,
    length: number,
    ttlMs: number,
    publish: 'PUBLISH' | 'SPUBLISH',
  ): Promise<'published' | 'duplicate' | 'gap' | 'unknown'>;
  rideRecordPosition(key: string, timestamp: number, ttlMs: number, ...fields: (string | number)[]): Promise<string>;
  rideReleaseReservation(key: string, offerId: string): Promise<0 | 1>;
}

export function withScripts(redis: Redis): ScriptedRedis {
  redis.defineCommand('ridePublishOrdered', { numberOfKeys: 2, lua: publishOrdered });
  redis.defineCommand('rideRecordPosition', { numberOfKeys: 1, lua: recordPosition });
  redis.defineCommand('rideReleaseReservation', { numberOfKeys: 1, lua: releaseReservation });
  return redis as ScriptedRedis;
}
