/**
 * Lua scripts, each one atomic step. The header of each lists keys, arguments and reply. All keys of a script hash to one
 * slot, so that they run on Redis Cluster too.
 */
import type { Redis } from 'ioredis';

/**
 * KEYS 1 memory of the topic (hash: epoch, offset, s:<source> = last seq, r:<n> = a source of one event, life, before, began), 2 history (stream, id = <offset>-0)
 * ARGV 1 topic, 2 payload, 3 source or '', 4 seq, 5 restart 0|1, 6 epoch for a new memory, 7 history length, 8 ttl ms, 9 publish command, 10 ttl ms
 *   of the memory, 11 how many sources of one event are known when this is such a one, or 0
 * reply: 'published' | 'duplicate' | 'gap' | 'unknown'
 *
 * `life` is the replication id under which the memory was written last. When this server was a replica then, or comes back from
 * a snapshot, it may have lost the memory's end without a trace; so a new epoch begins, that goes on where the old one, `before`,
 * has its end here, `began`. A server that read its own append-only file has lost nothing.
 */
const publish = `
local life, born
local function publish(memory, history, at)
  local topic, payload, source, seq, restart, fresh, length, ttl, command, memoryTtl, singles = unpack(ARGV, at + 1, at + 11)
  seq = tonumber(seq)
  local known = redis.call('HMGET', memory, 'epoch', 'offset', 'life', 's:' .. source)
  local epoch, offset, last = known[1], tonumber(known[2] or 0), known[4]
  if source ~= '' then
    if last and seq <= tonumber(last) then return 'duplicate' end
    if restart == '1' then
      if epoch then
        redis.call('DEL', memory, history)
        epoch, offset = false, 0
      end
    elseif last and seq > tonumber(last) + 1 then return 'gap'
    elseif not last and seq ~= 1 then return 'unknown' end
  end
  if not life then
    local server = redis.call('INFO', 'replication')
    life, born = string.match(server, 'master_replid:(%x+)'), string.match(server, 'master_replid2:(%x+)')
  end
  local set = { 'offset', offset + 1 }
  if not epoch then
    epoch = fresh
    redis.call('DEL', history)
    set[3], set[4], set[5], set[6] = 'epoch', epoch, 'life', life
  elseif known[3] ~= life then
    if string.find(born, '[^0]') then
      redis.call('HSET', memory, 'before', epoch, 'began', offset)
      epoch = fresh
    end
    set[3], set[4], set[5], set[6] = 'epoch', epoch, 'life', life
  end
  offset = offset + 1
  if source ~= '' then set[#set + 1], set[#set + 2] = 's:' .. source, seq end
  redis.call('HSET', memory, unpack(set))
  if singles ~= '0' then
    local place = 'r:' .. offset % tonumber(singles)
    local forgotten = redis.call('HGET', memory, place)
    if forgotten then redis.call('HDEL', memory, 's:' .. forgotten) end
    redis.call('HSET', memory, place, source)
  end
  redis.call('XADD', history, 'MAXLEN', length, offset .. '-0', 'p', payload)
  redis.call('PEXPIRE', memory, memoryTtl)
  redis.call('PEXPIRE', history, ttl)
  redis.call(command, topic, epoch .. ' ' .. offset .. '\\n' .. payload)
  return 'published'
end
`;

const publishOrdered = `${publish}
return publish(KEYS[1], KEYS[2], 0)
`;

/** Before what is wrong, where the others of a script have outcomes of their own. */
export const FAILED = '!';

/** KEYS and ARGV: those of some messages, one after another, for a single server. reply: for each what it is above, or '!' and what is wrong */
const publishAllOrdered = `${publish}
local outcomes = {}
for i = 1, #KEYS / 2 do
  local done, outcome = pcall(publish, KEYS[2 * i - 1], KEYS[2 * i], 11 * (i - 1))
  outcomes[i] = done and outcome or '${FAILED}' .. (type(outcome) == 'table' and outcome.err or tostring(outcome))
end
return outcomes
`;

/**
 * KEYS as above; ARGV 1 epoch and 2 offset of the reader's place, 3 most messages
 * reply: epoch and offset of the topic, whether the place is in its past 0|1, the offset after which was read, stream entries
 *
 * The epoch before the present one is its past up to where the present one began; '' with offset 0 is the beginning of any.
 */
const readHistory = `
local known = redis.call('HMGET', KEYS[1], 'epoch', 'offset', 'before', 'began')
local epoch, offset, after = known[1] or '', tonumber(known[2] or 0), tonumber(ARGV[2])
if ARGV[1] ~= epoch and not (ARGV[1] == '' and after == 0) then
  if ARGV[1] ~= known[3] then return {epoch, offset, 0, offset, {}} end
  after = math.min(after, tonumber(known[4]))
end
if after > offset then return {epoch, offset, 0, offset, {}} end
return {epoch, offset, 1, after, redis.call('XRANGE', KEYS[2], '(' .. after .. '-0', '+', 'COUNT', ARGV[3])}
`;

/**
 * Positions as hashes, each under one or more keys: KEYS in the order of the positions; ARGV 1 ttl ms, 2 index of places whose members
 * are moved, or '', then each position as a JSON list of strings: how many keys, negative when the driver is to be moved in the index;
 * its timestamp; its other fields and their values, first of all lat, lng and driverId
 * reply for each key: the timestamp that was stored before, or ''; kept unless that is larger than ours. '!' and what is wrong
 * when the key cannot be written, which must not cost the others their place. One more, '!' and what is wrong, when the index
 * could not be written.
 *
 * DEL comes first for good reason beyond what is not sent any more: a script that has begun to write is not refused for memory, so
 * that positions go on moving in a Redis at its maxmemory, where HSET alone would be refused. What is not there yet would take more of
 * the memory that there is not: such a Redis refuses it. Whether it is full, it says to the first write alone, which is therefore one
 * that changes nothing where there is a position.
 */
const recordPositions = `
local replies, moves, key, full = {}, {}, 0, nil
for i = 3, #ARGV do
  local position = cjson.decode(ARGV[i])
  local count, timestamp = tonumber(position[1]), tonumber(position[2])
  for n = 1, math.abs(count) do
    key = key + 1
    local name = KEYS[key]
    local stored = redis.pcall('HGET', name, 'timestamp')
    if type(stored) == 'table' then replies[key] = '!' .. stored.err
    elseif stored and (tonumber(stored) or 0) > timestamp then replies[key] = stored
    else
      if full == nil then
        local asked = redis.pcall('HSETNX', name, 'timestamp', position[2])
        full = type(asked) == 'table' and asked.err
      end
      if full and not stored then replies[key] = '!' .. full
      else
        redis.call('DEL', name)
        redis.call('HSET', name, 'timestamp', position[2], unpack(position, 3))
        redis.call('PEXPIRE', name, ARGV[1])
        replies[key] = stored or ''
        if count < 0 and n == 1 then
          local at = #moves
          moves[at + 1], moves[at + 2], moves[at + 3] = position[6], position[4], position[8]
        end
      end
    end
  end
end
if #moves > 0 then
  local moved = redis.pcall('GEOADD', ARGV[2], 'XX', unpack(moves))
  if type(moved) == 'table' then replies[key + 1] = '!' .. moved.err end
end
return replies
`;

/** ARGV channel, message, channel, message, …; for a single server, where one script may reach them all. */
const publishAll = `
for i = 1, #ARGV, 2 do redis.call('PUBLISH', ARGV[i], ARGV[i + 1]) end
`;

/** KEYS 1 reservation; ARGV 1 offer id. reply: 1 freed, 0 held by another or none */
const releaseReservation = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`;

/**
 * KEYS 1 inbox of a user (hash: epoch, offset); ARGV 1 epoch, 2 offset, 3 ttl ms
 * reply: 1 moved, 0 it was there already
 */
const advanceInbox = `
local known = redis.call('HMGET', KEYS[1], 'epoch', 'offset')
if known[1] == ARGV[1] and tonumber(known[2]) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'offset', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
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
    memoryTtlMs: number,
    singlesKnown: number,
  ): Promise<'published' | 'duplicate' | 'gap' | 'unknown'>;
  ridePublishAllOrdered(keyCount: number, ...keysAndArguments: (string | number | Buffer)[]): Promise<string[]>;
  rideReadHistoryBuffer(
    memory: string,
    history: string,
    epoch: string,
    offset: number,
    limit: number,
  ): Promise<
    [epoch: Buffer, offset: number, isLinked: 0 | 1, after: number, entries: [id: Buffer, fields: Buffer[]][]]
  >;
  rideRecordPositions(keyCount: number, ...keysAndArguments: (string | number)[]): Promise<string[]>;
  /** The same for one key. */
  rideRecordPosition(key: string, ttlMs: number, index: '', position: string): Promise<[string]>;
  ridePublishAll(...messages: (string | Buffer)[]): Promise<null>;
  rideComparePlaces(keyCount: number, ...keysAndPlaces: (string | number)[]): Promise<(string | number)[]>;
  rideReleaseReservation(key: string, offerId: string): Promise<0 | 1>;
  rideAdvanceInbox(key: string, epoch: string, offset: number, ttlMs: number): Promise<0 | 1>;
}

/**
 * KEYS memories of topics, ARGV for each the epoch and offset that are expected; for a single server, where one script may read them all
 * reply: for each that has others its number (from 1), epoch, offset
 */
const comparePlaces = `
local others = {}
for i = 1, #KEYS do
  local known = redis.call('HMGET', KEYS[i], 'epoch', 'offset')
  local epoch, offset = known[1] or '', known[2] or '0'
  if epoch ~= ARGV[2 * i - 1] or offset ~= ARGV[2 * i] then
    local at = #others
    others[at + 1], others[at + 2], others[at + 3] = i, epoch, offset
  end
end
return others
`;

export function withScripts(redis: Redis): ScriptedRedis {
  redis.defineCommand('ridePublishOrdered', { numberOfKeys: 2, lua: publishOrdered });
  redis.defineCommand('ridePublishAllOrdered', { lua: publishAllOrdered });
  redis.defineCommand('rideReadHistory', { numberOfKeys: 2, lua: readHistory, readOnly: true });
  redis.defineCommand('rideRecordPositions', { lua: recordPositions });
  redis.defineCommand('rideRecordPosition', { numberOfKeys: 1, lua: recordPositions });
  redis.defineCommand('ridePublishAll', { numberOfKeys: 0, lua: publishAll });
  redis.defineCommand('rideComparePlaces', { lua: comparePlaces, readOnly: true });
  redis.defineCommand('rideReleaseReservation', { numberOfKeys: 1, lua: releaseReservation });
  redis.defineCommand('rideAdvanceInbox', { numberOfKeys: 1, lua: advanceInbox });
  return redis as ScriptedRedis;
}
