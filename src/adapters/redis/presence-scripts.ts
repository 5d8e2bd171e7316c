/**
 * The steps of presence, each atomic. `nodes` is a sorted set, incarnation of a node → end of its lease by Redis' clock (ms),
 * negative once others have begun to end it. A user's hash has a field `n:<incarnation>` for each node that has him, and `seen`.
 *
 * What is published goes out in the step that made it true: subscribers learn of joins and leaves in their order.
 */
import type { Redis } from 'ioredis';

const now = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

const isOnAnyNode = `
local function isOnAnyNode()
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, 2) == 'n:' then return true end
  end
  return false
end
`;

/** KEYS 1 user; ARGV 1 incarnation, 2 ttl ms, 3 publish command, 4 channel, 5 message. reply: 1 he was offline, 0 he was not */
const join = `${isOnAnyNode}
local was = isOnAnyNode()
redis.call('HSET', KEYS[1], 'n:' .. ARGV[1], 1)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if was then return 0 end
redis.call(ARGV[3], ARGV[4], ARGV[5])
return 1
`;

/** KEYS 1 user; ARGV 1 incarnation, 2 ttl ms, 3 publish command, 4 channel, 5 message, 6 seen ms. reply: 1 he is offline now, 0 he is not or was */
const leave = `${isOnAnyNode}
if redis.call('HDEL', KEYS[1], 'n:' .. ARGV[1]) == 0 then return 0 end
local seen = redis.call('HGET', KEYS[1], 'seen')
if not seen or tonumber(seen) < tonumber(ARGV[6]) then redis.call('HSET', KEYS[1], 'seen', ARGV[6]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if isOnAnyNode() then return 0 end
redis.call(ARGV[3], ARGV[4], ARGV[5])
return 1
`;

/** KEYS 1 nodes; ARGV 1 incarnation, 2 lease ms, 3 first 0|1. reply: 1 held, 0 lost */
const renew = `${now}
if ARGV[3] == '0' then
  local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
  if not due or tonumber(due) < 0 then return 0 end
end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return 1
`;

/** KEYS 1 nodes; ARGV 1 incarnation, 2 ms until it runs out. reply: 1, or 0 when it is lost already */
const retire = `${now}
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not due or tonumber(due) < 0 then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return 1
`;

/** KEYS 1 nodes; ARGV 1 incarnation that is left out. reply: incarnation, end of its lease, incarnation, … ; marks each */
const expired = `${now}
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES')
local ended = {}
for i = 1, #found, 2 do
  if found[i] ~= ARGV[1] then
    local due = math.abs(tonumber(found[i + 1]))
    redis.call('ZADD', KEYS[1], -due, found[i])
    table.insert(ended, found[i])
    table.insert(ended, string.format('%d', due))
  end
end
return ended
`;

/** KEYS 1 nodes. reply: now, incarnation, end of its lease, incarnation, … */
const leases = `${now}
local found = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
table.insert(found, 1, string.format('%d', now))
return found
`;

export interface PresenceCommands {
  ridePresenceRenew(nodes: string, incarnation: string, leaseMs: number, first: '0' | '1'): Promise<0 | 1>;
  ridePresenceRetire(nodes: string, incarnation: string, afterMs: number): Promise<0 | 1>;
  ridePresenceExpired(nodes: string, own: string): Promise<string[]>;
}

/** The two steps of a user are sent by name, many in one pipeline: `ridePresenceJoin`, `ridePresenceLeave`; so is `ridePresenceLeases`. */
export function withPresenceScripts(redis: Redis): Redis & PresenceCommands {
  redis.defineCommand('ridePresenceJoin', { numberOfKeys: 1, lua: join });
  redis.defineCommand('ridePresenceLeave', { numberOfKeys: 1, lua: leave });
  redis.defineCommand('ridePresenceRenew', { numberOfKeys: 1, lua: renew });
  redis.defineCommand('ridePresenceRetire', { numberOfKeys: 1, lua: retire });
  redis.defineCommand('ridePresenceExpired', { numberOfKeys: 1, lua: expired });
  redis.defineCommand('ridePresenceLeases', { numberOfKeys: 1, lua: leases });
  return redis as Redis & PresenceCommands;
}
