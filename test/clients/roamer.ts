/**
 * A client that outlives its connections: it comes back through whatever node there is, either by its reconnect token alone or
 * by a sign-in and its own place in each topic, and keeps a log of everything it was sent.
 */
import type { Message } from './inbox.ts';
import {
  type Address,
  openGrpc,
  openWebSocket,
  type Peer,
  resuming,
  type TransportName,
  UpgradeRefused,
} from './peer.ts';

export type Way = 'token' | 'places';

export interface RoamerOptions {
  at: Address;
  transport: TransportName;
  accessToken: string;
  way: Way;
  heartbeatMs: number;
  /** When it was told to go, and by which node. */
  onGoAway(nodeId: string): void;
  /** Something that it asked for was refused. */
  onError(error: string): void;
}

/** One of its connections, from its welcome to its end. */
export interface Stay {
  nodeId: string;
  sessionId: string;
  goAways: number;
  /** How it ended: `4000 …`; undefined while it lasts. */
  end?: string;
}

interface Place {
  offset: number;
  epoch: string;
}

const PAUSE_MS = 50;

export class Roamer {
  readonly stays: Stay[] = [];
  /** Ordered messages without repeats (by event id), by topic, in the order of their first arrival. */
  readonly taken = new Map<string, Message[]>();
  /** What came again. */
  repeats = 0;
  /** Where ordered messages did not follow on each other. */
  readonly holes: string[] = [];
  /** Topics of which something was gone. */
  readonly gaps: string[] = [];
  /** Connections that went on by a reconnect token. */
  resumed = 0;
  /** Reconnect tokens that were refused. */
  refusedTokens = 0;
  readonly #options: RoamerOptions;
  readonly #topics = new Set<string>();
  readonly #places = new Map<string, Place>();
  readonly #seen = new Set<string>();
  #reconnectToken = '';
  #peer: Peer | null = null;
  #isOver = false;
  readonly #run: Promise<void>;

  constructor(options: RoamerOptions) {
    this.#options = options;
    this.#run = this.#roam();
  }

  /** The offset up to which it has everything of a topic. */
  offsetOf(topic: string): number {
    return this.#places.get(topic)?.offset ?? 0;
  }

  /** Follows a topic from its beginning, for good. */
  follow(topic: string): void {
    if (this.#topics.has(topic)) return;
    this.#topics.add(topic);
    if (this.#peer) this.#subscribe(this.#peer, topic);
  }

  async close(): Promise<void> {
    this.#isOver = true;
    this.#peer?.cut();
    await this.#run;
  }

  async #roam(): Promise<void> {
    while (!this.#isOver) {
      const peer = await this.#open();
      if (peer) await this.#stay(peer);
      else await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** Null when no node would have it. */
  async #open(): Promise<Peer | null> {
    const { at, transport, accessToken, way } = this.#options;
    const token = way === 'token' ? this.#reconnectToken : '';
    const given = token === '' ? {} : resuming(transport, token);
    const access = token === '' ? accessToken : undefined;
    try {
      const peer =
        transport === 'grpc' ? openGrpc(at, access, given.headers) : await openWebSocket(at, transport, access, given);
      // `welcome` comes first, unless the connection ends without a session.
      const isOpen = await Promise.race([
        peer.inbox.find((m) => m.welcome, 'welcome').then(() => true),
        peer.ended.then(({ trailers }) => this.#refused(trailers['ride-code'])),
      ]).catch(() => false);
      if (!isOpen) {
        peer.cut();
        return null;
      }
      if (token !== '') this.resumed++;
      return peer;
    } catch (error) {
      if (error instanceof UpgradeRefused) this.#refused(error.body.code);
      return null;
    }
  }

  #refused(code: string | undefined): false {
    if (code === 'RIDE_UNAUTHENTICATED') {
      this.refusedTokens++;
      this.#reconnectToken = '';
    }
    return false;
  }

  async #stay(peer: Peer): Promise<void> {
    const first = peer.inbox.all.find((m) => m.welcome)!;
    const { welcome } = first;
    const stay: Stay = { nodeId: first.node_id, sessionId: welcome.session_id, goAways: 0 };
    this.stays.push(stay);
    this.#reconnectToken = welcome.reconnect_token;
    this.#peer = peer;
    for (const message of peer.inbox.all) this.#take(message, stay);
    peer.inbox.onMessage = (message) => this.#take(message, stay);
    const restored = new Set(welcome.restored_topics ?? []);
    for (const topic of this.#topics) if (!restored.has(topic)) this.#subscribe(peer, topic);
    const beat = setInterval(() => peer.send({ heartbeat: {} }), this.#options.heartbeatMs);
    const { code, reason } = await peer.ended;
    clearInterval(beat);
    stay.end = `${code} ${reason}`;
    this.#peer = null;
  }

  #subscribe(peer: Peer, topic: string): void {
    const { offset, epoch } = this.#places.get(topic) ?? { offset: 0, epoch: '' };
    peer.send({ subscribe: { topic, since_offset: offset, epoch } });
  }

  #take(message: Message, stay: Stay): void {
    if (message.go_away) {
      stay.goAways++;
      this.#options.onGoAway(stay.nodeId);
    }
    if (message.error) this.#options.onError(JSON.stringify(message.error));
    if (message.subscribed && !message.subscribed.recovered) this.gaps.push(message.subscribed.topic);
    const { topic, epoch, event_id } = message;
    const offset = Number(message.offset ?? 0);
    if (offset === 0) return;
    const place = this.#places.get(topic);
    if (!place || place.epoch !== epoch || place.offset < offset) this.#places.set(topic, { offset, epoch });
    if (!place || place.epoch !== epoch || place.offset + 1 !== offset) this.#jump(topic, place, { offset, epoch });
    // The same event may also have been published twice.
    if (this.#seen.has(event_id)) {
      this.repeats++;
      return;
    }
    this.#seen.add(event_id);
    const taken = this.taken.get(topic) ?? [];
    this.taken.set(topic, taken);
    taken.push(message);
  }

  /** Ordered messages of a topic follow on each other; only a replay begins anew, with what is known. */
  #jump(topic: string, from: Place | undefined, to: Place): void {
    const isFirst = !from && to.offset === 1;
    const isReplay = from?.epoch === to.epoch && to.offset <= from.offset;
    if (!isFirst && !isReplay) this.holes.push(`${topic}: ${JSON.stringify(to)} after ${JSON.stringify(from)}`);
  }
}
