/**
 * Where a key lives on Redis Cluster. Commands of one pipeline must go to one node; a script's or a transaction's keys must
 * even share one slot. On a single server every key lives on the node ''.
 */
import type { Cluster, Redis } from 'ioredis';

const SLOTS = 16_384;

const CRC16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc & 0xffff;
});

/** The hash tag counts, when there is one: the first `{…}` that is not empty. */
function hashed(key: string): string {
  const open = key.indexOf('{');
  if (open < 0) return key;
  const close = key.indexOf('}', open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : key;
}

/** The slot of a key or shard channel, as `CLUSTER KEYSLOT` gives it. */
export function slotOf(key: string): number {
  let crc = 0;
  for (const byte of Buffer.from(hashed(key))) crc = ((crc << 8) & 0xffff) ^ CRC16[(crc >> 8) ^ byte]!;
  return crc % SLOTS;
}

/** For each slot that was asked for, a text whose slot it is. */
const tags: string[] = [];
let tagsTried = 0;

/** A key with this beginning that lives in `slot`. */
export function keyIn(slot: number, beginning: string): string {
  while (tags[slot] === undefined) {
    const tag = String(tagsTried++);
    tags[slotOf(tag)] ??= tag;
  }
  return `${beginning}{${tags[slot]}}`;
}

/** A slot of every master that serves any, as far as is known; none on a single server. */
export function slotsOfMasters(redis: Redis): number[] {
  if (!redis.isCluster) return [];
  const slotOfMaster = new Map<string, number>();
  for (const [slot, nodes] of (redis as unknown as Cluster).slots.entries()) {
    const master = nodes?.[0];
    if (master !== undefined && !slotOfMaster.has(master)) slotOfMaster.set(master, slot);
  }
  return [...slotOfMaster.values()];
}

/** Name of the node that serves `key` as far as is known; '' on a single server. */
export function nodeOf(redis: Redis, key: string): string {
  if (!redis.isCluster) return '';
  return (redis as unknown as Cluster).slots[slotOf(key)]?.[0] ?? '';
}

/** A command or script whose first argument is its key. */
export type KeyCommand = [name: string, key: string, ...args: (string | number | Buffer)[]];

export type Reply = [error: Error | null, reply: unknown];

/** A slot moved on the way, or the client's map is just being mended: such commands find their node one by one. */
const ASTRAY = /^(MOVED|ASK|TRYAGAIN|All keys in the pipeline) /;

type ByName = Record<string, (...args: KeyCommand[number][]) => Promise<unknown>>;

async function alone(redis: Redis, [name, ...args]: KeyCommand): Promise<Reply> {
  try {
    return [null, await (redis as unknown as ByName)[name]!(...args)];
  } catch (error) {
    return [error as Error, undefined];
  }
}

async function sendToOneNode(redis: Redis, commands: readonly KeyCommand[]): Promise<Reply[]> {
  let replies: Reply[];
  try {
    replies = (await redis.pipeline(commands as KeyCommand[]).exec()) ?? [];
  } catch (error) {
    replies = commands.map(() => [error as Error, undefined]);
  }
  if (!redis.isCluster) return replies;
  return Promise.all(
    replies.map((reply, index) =>
      reply[0] !== null && ASTRAY.test(reply[0].message) ? alone(redis, commands[index]!) : reply,
    ),
  );
}

/** Runs commands in as few round trips as their keys' nodes allow; the replies in the order of the commands. Never rejects. */
export async function sendAll(redis: Redis, commands: readonly KeyCommand[]): Promise<Reply[]> {
  if (!redis.isCluster) return sendToOneNode(redis, commands);
  const replies: Reply[] = new Array(commands.length);
  const byNode = Map.groupBy(commands.keys(), (index) => nodeOf(redis, commands[index]![1]));
  await Promise.all(
    [...byNode.values()].map(async (indices) => {
      const group = await sendToOneNode(
        redis,
        indices.map((index) => commands[index]!),
      );
      for (const [at, reply] of group.entries()) replies[indices[at]!] = reply;
    }),
  );
  return replies;
}

/** The same when all have to succeed. @throws the first failure */
export async function runAll(redis: Redis, commands: readonly KeyCommand[]): Promise<unknown[]> {
  const replies = await sendAll(redis, commands);
  return replies.map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
}
