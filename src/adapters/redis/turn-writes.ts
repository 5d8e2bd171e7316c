/** Writes that nobody has to wait for: those of one turn of the event loop go out together. */
import type { ScriptedRedis } from './scripts.ts';
import { type KeyCommand, type Reply, sendAll } from './slots.ts';

export interface TurnWrites {
  /** Commands on one key keep their order. `settle` gets the command's own reply. */
  add(command: KeyCommand, settle: (reply: Reply) => void): void;
}

export function createTurnWrites(redis: ScriptedRedis): TurnWrites {
  let waiting: { command: KeyCommand; settle(reply: Reply): void }[] = [];

  async function send(): Promise<void> {
    const batch = waiting;
    waiting = [];
    const replies = await sendAll(
      redis,
      batch.map(({ command }) => command),
    );
    for (const [index, { settle }] of batch.entries()) settle(replies[index] ?? [new Error('no reply'), undefined]);
  }

  return {
    add(command, settle) {
      if (waiting.push({ command, settle }) === 1) setImmediate(() => void send());
    },
  };
}
