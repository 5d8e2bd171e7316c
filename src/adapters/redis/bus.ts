/**
 * The bus on Redis: one pub/sub channel per topic, named as the documents name them (`trip:{tripId}`, `sos:alerts`,
 * `user:{userId}`), and one stream per topic for its history.
 *
 * On the wire of a channel: `<epoch> <offset>\n<payload>`, or `@<sender>\n<payload>` for a message without history: whoever sent it
 * gave it to its own subscribers at once, without the way through Redis. `\n<payload>` is one that Redis itself sent.
 */
import { randomUUID } from 'node:crypto';
import type { Bus, BusMessage, HistoryPage, TopicPosition } from '../../ports/bus.ts';
import type { Logger } from '../../ports/logger.ts';
import { SINGLES_KNOWN } from '../../ports/publisher.ts';
import { createChannels } from './channels.ts';
import { orAway, redisAway } from './connection.ts';
import { createOrderedMessages } from './ordered-messages.ts';
import type { ScriptedRedis } from './scripts.ts';
import { type KeyCommand, sendAll } from './slots.ts';
import { createTurnMessages } from './turn-messages.ts';

/** How much of a topic is kept, and how long after its last message. */
export interface Retention {
  length: number;
  ttlMs: number;
  /** Of the topic's epoch and offset: while they last, it can be told whether something is missing. */
  memoryTtlMs: number;
}

export interface RedisBusOptions {
  /** Of the same Redis as the connection for commands. */
  url: string;
  historyLength: number;
  historyTtlMs: number;
  /** Of users' own topics, where messages wait for their next connection. */
  inbox?: Retention;
  onError(error: Error): void;
  log: Logger;
}

export interface RedisBus extends Bus {
  close(): void;
}

/** Topics of one comparison, so that Redis is not kept from others for long. */
const MAX_COMPARED = 250;

const NEWLINE = 10;
/** Before the payload of a message without history that Redis itself sends. */
export const PLAIN_HEADER = Buffer.from('\n');

const SENDER_MARK = 64; // @

/** The braces are hash tags: memory, history and (sharded) channel of a topic share one slot. */
const memoryKey = (topic: string): string => `memory:{${topic}}`;
const historyKey = (topic: string): string => `history:{${topic}}`;

type Place = readonly [topic: string, position: TopicPosition];
/** Fields of a memory. */
type Known = [epoch: string | null, offset: string | null];

const positionOf = ([epoch, offset]: Known): TopicPosition => ({ epoch: epoch ?? '', offset: Number(offset ?? 0) });

const bytesOf = (data: Uint8Array): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

/** Null when none of ours sent it. */
function decode(topic: string, data: Buffer): BusMessage | null {
  const end = data.indexOf(NEWLINE);
  if (end < 0) return null;
  const payload = data.subarray(end + 1);
  if (end === 0 || data[0] === SENDER_MARK) return { topic, offset: 0, epoch: '', payload };
  const [epoch = '', offset] = data.toString('latin1', 0, end).split(' ');
  const place = { epoch, offset: Number(offset) };
  return Number.isSafeInteger(place.offset) && place.offset > 0 ? { topic, ...place, payload } : null;
}

export function createRedisBus(redis: ScriptedRedis, options: RedisBusOptions): RedisBus {
  let listener: (message: BusMessage) => void = () => {};
  const own = Buffer.from(`@${randomUUID().slice(0, 8)}\n`);
  const channels = createChannels({
    url: options.url,
    commands: redis,
    onMessage(topic, data) {
      // What this process sent, its own subscribers have.
      if (data[0] === SENDER_MARK && data.subarray(0, own.length).equals(own)) return;
      const message = decode(topic, data);
      if (message !== null) listener(message);
      else options.log.warn({ topic }, 'a message that none of ours sent was ignored');
    },
    onError: options.onError,
    log: options.log,
  });
  const { publishCommand } = channels;
  const { historyLength: length, historyTtlMs: ttlMs } = options;
  const usual: Retention = { length, ttlMs, memoryTtlMs: ttlMs };
  const inbox = options.inbox ?? usual;
  const ordered = createOrderedMessages(redis);
  const lost = (error: unknown): void => {
    options.log.debug({ err: error }, 'messages without history were lost: Redis is away');
  };
  const messages = createTurnMessages(redis, lost, () => ordered.flush());

  async function history(topic: string, since: TopicPosition, limit: number): Promise<HistoryPage> {
    ordered.flush();
    const keys = [memoryKey(topic), historyKey(topic)] as const;
    const reply = await orAway(redis.rideReadHistoryBuffer(...keys, since.epoch, since.offset, limit));
    const [epochBytes, offset, isLinked, after, entries] = reply;
    const epoch = epochBytes.toString('latin1');
    const messages = entries.map(
      ([id, fields]): BusMessage => ({
        topic,
        epoch,
        offset: Number.parseInt(id.toString('latin1'), 10),
        payload: fields[1]!,
      }),
    );
    const complete = isLinked === 1 && (messages[0] ? messages[0].offset === after + 1 : offset === after);
    return { epoch, offset, messages, complete };
  }

  async function compareTogether(places: readonly Place[]): Promise<Place[]> {
    const keys = places.map(([topic]) => memoryKey(topic));
    const expected = places.flatMap(([, { epoch, offset }]) => [epoch, offset]);
    const reply = await orAway(redis.rideComparePlaces(keys.length, ...keys, ...expected));
    const others: Place[] = [];
    for (let i = 0; i < reply.length; i += 3) {
      const [number, epoch, offset] = reply.slice(i, i + 3) as [number, string, string];
      others.push([places[number - 1]![0], { epoch, offset: Number(offset) }]);
    }
    return others;
  }

  /** On a cluster each memory may lie elsewhere. */
  async function readApart(places: readonly Place[]): Promise<Place[]> {
    const replies = await sendAll(
      redis,
      places.map(([topic]): KeyCommand => ['hmget', memoryKey(topic), 'epoch', 'offset']),
    );
    return replies.flatMap(([error, reply], i): Place[] => {
      if (error) throw redisAway(error);
      const [topic, expected] = places[i]!;
      const position = positionOf(reply as Known);
      const isThere = position.epoch === expected.epoch && position.offset === expected.offset;
      return isThere ? [] : [[topic, position]];
    });
  }

  return {
    publish(topic, payload) {
      messages.add(topic, Buffer.concat([own, payload]));
      if (channels.has(topic)) listener({ topic, offset: 0, epoch: '', payload: bytesOf(payload) });
    },

    publishOrdered(topic, payload, order) {
      // In the order of this process, for those on other nodes.
      if (messages.areWaiting()) {
        ordered.flush();
        messages.flush();
      }
      const { length, ttlMs, memoryTtlMs } = topic.startsWith('user:') ? inbox : usual;
      return ordered.add([
        memoryKey(topic),
        historyKey(topic),
        topic,
        bytesOf(payload),
        order?.source ?? '',
        order?.seq ?? 0,
        order?.restart ? '1' : '0',
        randomUUID().slice(0, 8),
        length,
        ttlMs,
        publishCommand,
        memoryTtlMs,
        order?.isSingle ? SINGLES_KNOWN : 0,
      ]);
    },

    subscribe: (topic) => channels.subscribe(topic),
    unsubscribe: (topic) => channels.unsubscribe(topic),

    onMessage(next) {
      listener = next;
    },

    onAway: (next) => channels.onAway(next),

    onBack: (next) => channels.onBack(next),

    history,

    async position(topic) {
      ordered.flush();
      return positionOf((await orAway(redis.hmget(memoryKey(topic), 'epoch', 'offset'))) as Known);
    },

    async elsewhere(places) {
      ordered.flush();
      const asked = [...places];
      const found = new Map<string, TopicPosition>();
      for (let at = 0; at < asked.length; at += MAX_COMPARED) {
        const some = asked.slice(at, at + MAX_COMPARED);
        for (const [topic, position] of redis.isCluster ? await readApart(some) : await compareTogether(some))
          found.set(topic, position);
      }
      return found;
    },

    close: () => channels.close(),
  };
}
