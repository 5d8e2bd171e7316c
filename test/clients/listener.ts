/** Who follows a trip by server-sent events for as long as it takes, as EventSource does: it comes back with the last id it had. */
import { Books, type Place } from './books.ts';
import { type EventClient, openEvents } from './events.ts';
import type { Message } from './inbox.ts';
import type { Address } from './peer.ts';

const PAUSE_MS = 50;

function placeOf(id: string): Place {
  const colon = id.lastIndexOf(':');
  return { epoch: id.slice(0, colon), offset: Number(id.slice(colon + 1)) };
}

export class Listener {
  readonly books = new Books();
  readonly tripId: string;
  connections = 0;
  readonly #at: Address;
  readonly #token: string;
  readonly #onGap: () => void;
  #stream: EventClient | null = null;
  #lastId = ':0';
  #isOver = false;
  readonly #hooks: (() => void)[] = [];
  readonly #run: Promise<void>;

  /** @param onGap told that something of the trip is gone */
  constructor(at: Address, token: string, tripId: string, onGap: () => void) {
    this.#at = at;
    this.#token = token;
    this.tripId = tripId;
    this.#onGap = onGap;
    this.#run = this.#listen();
  }

  /** The stream it has now, if any. */
  get stream(): EventClient | null {
    return this.#stream;
  }

  async close(): Promise<void> {
    this.#isOver = true;
    for (const hook of this.#hooks) hook();
    await this.#run;
  }

  async #listen(): Promise<void> {
    while (!this.#isOver) {
      try {
        await this.#stay();
      } catch {
        // Refused, or broken off on the way: no node was ready.
      }
      if (!this.#isOver) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  async #stay(): Promise<void> {
    const path = `/api/v1/trips/${this.tripId}/events/stream`;
    const headers = { authorization: `Bearer ${this.#token}`, 'last-event-id': this.#lastId };
    const stream = await openEvents({ after: (hook) => this.#hooks.push(hook) }, this.#at.http, path, headers);
    if (this.#isOver || stream.status !== 200) {
      stream.close();
      return;
    }
    this.connections++;
    this.#stream = stream;
    for (const event of stream.inbox.all) this.#take(event);
    stream.inbox.onMessage = (event) => this.#take(event);
    await stream.ended;
    this.#stream = null;
  }

  #take({ id, event, trip_event, chat_message }: Message): void {
    if (id === undefined) return;
    this.#lastId = id;
    const topic = `trip:${this.tripId}`;
    if (event === 'gap') {
      this.books.gone(topic, placeOf(id));
      this.#onGap();
    }
    if (trip_event) {
      this.books.take(topic, placeOf(id), `seq ${trip_event.seq}`, { trip_event }, Number(trip_event.at_ms));
    } else if (chat_message) {
      const { sender_id, message_id, at_ms } = chat_message;
      this.books.take(topic, placeOf(id), `${sender_id} ${message_id}`, { chat_message }, Number(at_ms));
    }
  }
}
