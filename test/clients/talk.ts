/** People who talk on while servers fail: what was acknowledged has to arrive at everybody, once and in order. */
import { until } from '../until.ts';
import type { Follower } from './follower.ts';

export class Talk {
  /** Ids of the acknowledged messages, in the order in which they were said. */
  readonly said: string[] = [];
  readonly tripId: string;
  readonly #voice: Follower;
  #talking = true;
  readonly #done: Promise<void>;

  /** `voice` says one thing after the other on a trip, each again until it is acknowledged. */
  constructor(tripId: string, voice: Follower) {
    this.tripId = tripId;
    this.#voice = voice;
    this.#done = this.#run();
  }

  async #run(): Promise<void> {
    for (let n = 1; this.#talking; n++) {
      const message = { trip_id: this.tripId, message_id: `m${n}`, text: `the ${n}th` };
      while (!(await this.#say(message)));
      this.said.push(message.message_id);
    }
  }

  async #say(chat_send: object): Promise<boolean> {
    await this.#voice.live;
    try {
      return (await this.#voice.peer.ask({ chat_send })).ack !== undefined;
    } catch {
      // The connection ended before the answer: whether it was heard shows when it is said again.
      return false;
    }
  }

  async stop(): Promise<void> {
    this.#talking = false;
    await this.#done;
  }
}

/** Resolves when everybody has said `more` than now. */
export async function saidMore(talks: readonly Talk[], more: number, limitMs?: number): Promise<void> {
  const goals = talks.map((talk) => talk.said.length + more);
  await until(() => talks.every((talk, i) => talk.said.length >= goals[i]!), `everybody says ${more} more`, limitMs);
}

/** Ids of the chat messages that a follower has, as they came. */
export const heard = (follower: Follower): string[] =>
  follower.gather().flatMap((m) => (m.chat_message ? [m.chat_message.message_id] : []));
