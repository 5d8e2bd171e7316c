/** What a client has of each topic: every ordered message once, in the order of its first arrival, and whatever was amiss on the way. */
import type { Message } from './inbox.ts';

export interface Place {
  offset: number;
  epoch: string;
}

export class Books {
  /** Ordered messages without repeats, by topic. */
  readonly taken = new Map<string, Message[]>();
  readonly places = new Map<string, Place>();
  /** What came again. */
  repeats = 0;
  /** Topics that came again at a place that it was past already, each as often as that happened. */
  readonly replayed: string[] = [];
  /** Where messages of an epoch did not follow on each other. */
  readonly holes: string[] = [];
  /** Messages that came, for the first time, behind a later one of their epoch. */
  readonly late: string[] = [];
  /** Where a topic went on in another epoch, and nobody said that something may be missing. */
  readonly turns: string[] = [];
  /** Topics of which it was told that something may be missing. */
  readonly gaps: string[] = [];
  /** From the publication of each message to its first arrival, milliseconds. */
  readonly delaysMs: number[] = [];
  readonly #seen = new Set<string>();

  /** @param id the same for every repeat of a message */
  take(topic: string, place: Place, id: string, message: Message, sentAtMs: number): void {
    const last = this.places.get(topic);
    if (!last || last.epoch !== place.epoch || last.offset < place.offset) this.places.set(topic, place);
    const isReplay = last?.epoch === place.epoch && place.offset <= last.offset;
    if (isReplay) this.replayed.push(topic);
    this.#jump(topic, last, place);
    // The same event may also have been published twice.
    const key = `${topic} ${id}`;
    if (this.#seen.has(key)) {
      this.repeats++;
      return;
    }
    this.#seen.add(key);
    if (isReplay) this.late.push(`${topic}: ${id}`);
    this.delaysMs.push(Date.now() - sentAtMs);
    const taken = this.taken.get(topic) ?? [];
    this.taken.set(topic, taken);
    taken.push(message);
  }

  /** `recovered: false`: it goes on after `place`. */
  gone(topic: string, place: Place): void {
    this.gaps.push(topic);
    this.places.set(topic, place);
  }

  /** Ordered messages of a topic follow on each other; only a replay begins anew, with what is known. */
  #jump(topic: string, from: Place | undefined, to: Place): void {
    const said = (): string => `${topic}: ${JSON.stringify(to)} after ${JSON.stringify(from)}`;
    // Where nothing had been, anything begins with its first message.
    if (!from || from.epoch === '') {
      if (to.offset !== (from?.offset ?? 0) + 1) this.holes.push(said());
    } else if (from.epoch !== to.epoch) this.turns.push(said());
    else if (to.offset > from.offset + 1) this.holes.push(said());
  }
}
