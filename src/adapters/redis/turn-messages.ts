/**
 * Messages without history on their way to other nodes: those of one turn of the event loop go out in one command. Nobody waits
 * for them, and what Redis cannot take is lost, which their delivery class allows.
 */
import type { ScriptedRedis } from './scripts.ts';
import { type KeyCommand, sendAll } from './slots.ts';

export interface TurnMessages {
  add(topic: string, message: Buffer): void;
  areWaiting(): boolean;
  /** Sends what was added, before what the caller sends next. */
  flush(): void;
}

/** Messages of one command, so that Redis is not kept from others for long. */
const MAX_TOGETHER = 500;

/**
 * @param onLost what could not be sent, and why
 * @param beforehand sends what was published earlier by another way: called before a turn's messages go out in the middle of it
 */
export function createTurnMessages(
  redis: ScriptedRedis,
  onLost: (error: unknown) => void,
  beforehand: () => void,
): TurnMessages {
  let waiting: (string | Buffer)[] = [];
  let scheduled = false;

  async function sendApart(messages: readonly (string | Buffer)[]): Promise<void> {
    const commands: KeyCommand[] = [];
    for (let i = 0; i < messages.length; i += 2) commands.push(['spublish', messages[i] as string, messages[i + 1]!]);
    for (const [error] of await sendAll(redis, commands)) if (error) onLost(error);
  }

  function flush(): void {
    if (waiting.length === 0) return;
    const messages = waiting;
    waiting = [];
    if (redis.isCluster) void sendApart(messages);
    else if (messages.length === 2) redis.publish(messages[0]!, messages[1]!).catch(onLost);
    else redis.ridePublishAll(...messages).catch(onLost);
  }

  function endOfTurn(): void {
    scheduled = false;
    flush();
  }

  return {
    add(topic, message) {
      waiting.push(topic, message);
      if (waiting.length >= 2 * MAX_TOGETHER) {
        beforehand();
        flush();
      }
      if (scheduled) return;
      scheduled = true;
      setImmediate(endOfTurn);
    },
    areWaiting: () => waiting.length > 0,
    flush,
  };
}
