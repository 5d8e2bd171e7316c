/**
 * The bus on Redis: one pub/sub channel per topic, named as the documents name them (`trip:{tripId}`, `sos:alerts`,
 * `user:{userId}`), and one stream per topic for its history.
 *
 * On the wire of a channel: `<epoch> <offset>\n<payload>`, or `\n<payload>` for a message without history.
 */
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Bus, BusMessage, HistoryPage } from '../../ports/bus.ts';
import type { Logger } from '../../ports/logger.ts';
import { orAway, redisAway } from './connection.ts';
import type { ScriptedRedis } from './scripts.ts';

export interface RedisBusOptions {
  historyLength: number;
  historyTtlMs: number;
  log: Logger;
}

const NEWLINE = 10;
const PLAIN_HEADER = Buffer.from('\n');

/** The braces are hash tags: memory, history and (sharded) channel of a topic share one slot. */
const memoryKey = (topic: string): string => `memory:{${topic}}`;
const historyKey = (topic: string): string => `history:{${topic}}`;

function decode(topic: string, data: Buffer): BusMessage {
  const end = data.indexOf(NEWLINE);
  const payload = data.subarray(end + 1);
  if (end <= 0) return { topic, offset: 0, epoch: '', payload };
  const [epoch, offset] = data.toString('latin1', 0, end).split(' ');
  return { topic, epoch: epoch!, offset: Number(offset), payload };
}

export function createRedisBus(redis: ScriptedRedis, subscriber: Redis, options: RedisBusOptions): Bus {
  const counts = new Map<string, number>();
  const pending = new Map<string, Promise<unknown>>();
  let listener: (message: BusMessage) => void = () => {};

  subscriber.on('messageBuffer', (channel: Buffer, data: Buffer) => listener(decode(channel.toString(), data)));

  async function history(topic: string, sinceOffset: number, limit: number): Promise<HistoryPage> {
    const [memory, entries] = await orAway(
      Promise.all([
        redis.hmget(memoryKey(topic), 'epoch', 'offset'),
        redis.xrangeBuffer(historyKey(topic), `(${sinceOffset}-0`, '+', 'COUNT', limit),
      ]),
    );
    const epoch = memory[0] ?? '';
    const messages = entries.map(
      ([id, fields]): BusMessage => ({
        topic,
        epoch,
        offset: Number.parseInt(id.toString('latin1'), 10),
        payload: fields[1]!,
      }),
    );
    const offset = Math.max(Number(memory[1] ?? 0), messages.at(-1)?.offset ?? 0);
    const complete = messages.length === 0 ? offset === sinceOffset : messages[0]!.offset === sinceOffset + 1;
    return { epoch, offset, messages, complete };
  }

  return {
    publish(topic, payload) {
      redis.publish(topic, Buffer.concat([PLAIN_HEADER, payload])).catch((error: unknown) => {
        options.log.debug({ err: error, topic }, 'a message without history was lost: Redis is away');
      });
    },

    publishOrdered(topic, payload, order) {
      return orAway(
        redis.ridePublishOrdered(
          memoryKey(topic),
          historyKey(topic),
          topic,
          Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
          order?.source ?? '',
          order?.seq ?? 0,
          order?.restart ? '1' : '0',
          randomUUID().slice(0, 8),
          options.historyLength,
          options.historyTtlMs,
          'PUBLISH',
        ),
      );
    },

    async subscribe(topic) {
      counts.set(topic, (counts.get(topic) ?? 0) + 1);
      // Several sessions may ask at once: all wait for the one answer of Redis.
      let reply = pending.get(topic);
      if (!reply) {
        reply = subscriber.subscribe(topic);
        pending.set(topic, reply);
      }
      try {
        await reply;
      } catch (error) {
        pending.delete(topic);
        throw redisAway(error);
      }
    },

    unsubscribe(topic) {
      const left = (counts.get(topic) ?? 0) - 1;
      if (left > 0) {
        counts.set(topic, left);
        return;
      }
      counts.delete(topic);
      pending.delete(topic);
      subscriber.unsubscribe(topic).catch((error: unknown) => {
        options.log.debug({ err: error, topic }, 'unsubscribe failed; a new connection starts without it');
      });
    },

    onMessage(next) {
      listener = next;
    },

    history,

    async position(topic) {
      const [epoch, offset] = await orAway(redis.hmget(memoryKey(topic), 'epoch', 'offset'));
      return { epoch: epoch ?? '', offset: Number(offset ?? 0) };
    },
  };
}
