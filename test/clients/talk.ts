/**
 * People who talk on while servers fail. What was acknowledged has to arrive at everybody, once, and in one order for all; that
 * is the order of the topic. A message whose publication had to wait may stand behind one that was said after it.
 */
import type { Test } from 'tap';
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

/** Waits until all followers have heard all, and compares. */
export async function everythingHeard(t: Test, { said }: Talk, followers: readonly Follower[]): Promise<void> {
  for (const follower of followers) {
    await until(() => heard(follower).length >= said.length, 'all has arrived');
    t.same(heard(follower).toSorted(), said.toSorted(), 'every message once');
    t.same(heard(follower), heard(followers[0]!), 'in the order in which the others have it');
    t.equal(follower.doubles, 0, 'no place in the topic was given twice');
  }
}

/** Ids of the chat messages that a follower has, as they came. */
const heard = (follower: Follower): string[] =>
  follower.gather().flatMap((m) => (m.chat_message ? [m.chat_message.message_id] : []));
