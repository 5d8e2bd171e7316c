/** A client's place in each topic: epoch and offset to resume from, and the ids it has seen, to drop repeats. */
import { type Envelope, num, str } from './link.ts';

interface Place {
  epoch: string;
  offset: number;
  /** A place is known only when the server has named one; until then the history is asked for from its start. */
  known: boolean;
  live: boolean;
  /** Whether to ask for the history from its start when no place is known. */
  fromStart: boolean;
  seen: Set<string>;
}

/** Repeats come soon after the first, so that a window of ids is enough; a trip has far fewer. */
const MAX_SEEN = 1_000;

export class TopicBook {
  private readonly places = new Map<string, Place>();

  /** `userTopic` is followed from now on, not from its start: its history belongs to earlier sessions. */
  constructor(userTopic: string) {
    this.places.set(userTopic, place(false));
  }

  add(topic: string): void {
    if (!this.places.has(topic)) this.places.set(topic, place(true));
  }

  remove(topic: string): void {
    this.places.delete(topic);
  }

  all(): string[] {
    return [...this.places.keys()];
  }

  /** The `subscribe` message for a topic, with the place to resume from. */
  request(topic: string): Envelope {
    const at = this.places.get(topic);
    if (at?.known) return { topic, since_offset: String(at.offset), epoch: at.epoch };
    return at?.fromStart ? { topic, since_offset: '0', epoch: '' } : { topic };
  }

  /** The server's answer to `request`: what comes on the topic from now on is new. */
  subscribed(payload: Record<string, unknown>): void {
    const at = this.places.get(str(payload.topic));
    if (!at) return;
    Object.assign(at, { epoch: str(payload.epoch), offset: num(payload.offset), known: true, live: true });
  }

  isLive(topic: string): boolean {
    return this.places.get(topic)?.live ?? false;
  }

  /** Notes the place of an ordered message; false when the message is a repeat or of a topic no longer followed. */
  take(envelope: Envelope): boolean {
    const at = this.places.get(str(envelope.topic));
    if (!at) return false;
    const offset = num(envelope.offset);
    const epoch = str(envelope.epoch);
    at.offset = at.known && at.epoch === epoch ? Math.max(at.offset, offset) : offset;
    at.epoch = epoch;
    at.known = true;
    const id = str(envelope.event_id);
    if (at.seen.has(id)) return false;
    at.seen.add(id);
    if (at.seen.size > MAX_SEEN) at.seen.delete(at.seen.values().next().value!);
    return true;
  }

  disconnected(): void {
    for (const at of this.places.values()) at.live = false;
  }
}

const place = (fromStart: boolean): Place => ({
  epoch: '',
  offset: 0,
  known: false,
  live: false,
  fromStart,
  seen: new Set(),
});
