/**
 * People who talk on while servers fail. What was acknowledged has to arrive at everybody, once, and in one order for all; that
 * is the order of the topic. A message whose publication had to wait may stand behind one that was said after it.
 */
import type { Test } from 'tap';
import { until } from '../until.ts';
import type { Roamer } from './roamer.ts';

export class Talk {
  /** Ids of the acknowledged messages, in the order in which they were said. */
  readonly said: string[] = [];
  readonly tripId: string;
  readonly #voice: Roamer;
  #talking = true;
  readonly #done: Promise<void>;

  /** `voice` says one thing after the other on a trip, each again until it is acknowledged. */
  constructor(tripId: string, voice: Roamer) {
    this.tripId = tripId;
    this.#voice = voice;
    this.#done = this.#run();
  }

  async #run(): Promise<void> {
    for (let n = 1; this.#talking; n++) {
      const message = { trip_id: this.tripId, message_id: `m${n}`, text: `the ${n}th` };
      while (!(await this.#voice.ask({ chat_send: message })).ack);
      this.said.push(message.message_id);
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
export async function everythingHeard(t: Test, talk: Talk, followers: readonly Roamer[]): Promise<void> {
  const { said } = talk;
  for (const follower of followers) {
    await until(() => heard(talk, follower).length >= said.length, 'all has arrived');
    t.same(heard(talk, follower).toSorted(), said.toSorted(), 'every message once');
    t.same(heard(talk, follower), heard(talk, followers[0]!), 'in the order in which the others have it');
    t.notOk(follower.books.replayed.includes(`trip:${talk.tripId}`), 'no place in the topic was given twice');
    t.same(follower.books.holes, [], 'nor was one left out');
  }
}

/** Ids of the chat messages that a follower has, as they came. */
const heard = ({ tripId }: Talk, { books }: Roamer): string[] =>
  (books.taken.get(`trip:${tripId}`) ?? []).flatMap((m) => (m.chat_message ? [m.chat_message.message_id] : []));
