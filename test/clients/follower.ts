/**
 * A client that follows topics for as long as it takes: when its connection ends it connects again, anywhere, and resumes each
 * topic from its place. What it gathers is what a user of the client library would see: repeats by event id dropped.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Message } from './inbox.ts';
import { type Address, openWebSocket, type Peer } from './peer.ts';

const RETRY_MS = 20;

interface Place {
  since_offset: string;
  epoch: string;
}

export class Follower {
  /** Ordered messages, each once, as they came. */
  readonly events: Message[] = [];
  /** Ordered messages that came with the place of one that this connection had seen. */
  doubles = 0;
  connections = 0;
  /** Times it was told that something may be missing. */
  gaps = 0;
  readonly #at: Address;
  readonly #token: string;
  readonly #places: Map<string, Place>;
  readonly #seen = new Set<string>();
  #peer: Peer | null = null;
  #read = 0;
  #stopped = false;
  #live = Promise.withResolvers<void>();
  #done: Promise<void> = Promise.resolve();

  constructor(t: { after(hook: () => Promise<void>): void }, at: Address, token: string, topics: readonly string[]) {
    this.#at = at;
    this.#token = token;
    this.#places = new Map(topics.map((topic) => [topic, { since_offset: '0', epoch: '' }]));
    this.#done = this.#run();
    t.after(() => this.stop());
  }

  /** Resolves while it follows all its topics. */
  get live(): Promise<void> {
    return this.#live.promise;
  }

  /** The session it has now. */
  get peer(): Peer {
    if (!this.#peer) throw new Error('not connected');
    return this.#peer;
  }

  /** Takes what has come since the last call. */
  gather(): readonly Message[] {
    const all = this.#peer?.inbox.all ?? [];
    for (; this.#read < all.length; this.#read++) this.#take(all[this.#read]!);
    return this.events;
  }

  #take(message: Message): void {
    const { topic, offset, epoch, event_id: id } = message;
    if (message.subscribed) {
      if (message.subscribed.recovered !== true) this.gaps++;
      const place = { since_offset: String(message.subscribed.offset ?? 0), epoch: message.subscribed.epoch ?? '' };
      this.#places.set(message.subscribed.topic, place);
      return;
    }
    const place = this.#places.get(topic);
    if (!place || offset === undefined) return;
    if (epoch === place.epoch && Number(offset) <= Number(place.since_offset)) this.doubles++;
    this.#places.set(topic, { since_offset: String(offset), epoch });
    if (this.#seen.has(id)) return;
    this.#seen.add(id);
    this.events.push(message);
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#session();
      } catch {
        // Refused or broken off on the way: the server is draining, gone or not there yet.
      }
      await sleep(RETRY_MS);
    }
  }

  async #session(): Promise<void> {
    const peer = await openWebSocket(this.#at, 'websocket-json', this.#token);
    this.connections++;
    this.#read = 0;
    this.#peer = peer;
    try {
      if (this.#stopped) return;
      await peer.next((m) => m.welcome !== undefined, 'welcome');
      for (const [topic, place] of this.#places) {
        const answer = await peer.ask({ subscribe: { topic, ...place } });
        if (!answer.subscribed) throw new Error(`not subscribed: ${JSON.stringify(answer)}`);
      }
      const heartbeat = setInterval(() => peer.send({ heartbeat: {} }), 500);
      this.#live.resolve();
      await peer.ended;
      clearInterval(heartbeat);
    } finally {
      this.gather();
      this.#peer = null;
      this.#live = Promise.withResolvers();
      peer.cut();
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#peer?.cut();
    await this.#done;
  }
}
