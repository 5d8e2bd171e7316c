/**
 * A client that outlives its connections: it comes back through whatever node there is, either by its reconnect token alone or
 * by a sign-in and its own place in each topic, and keeps a log of everything it was sent.
 */
import { Books, type Place } from './books.ts';
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
  /** It says what it has taken, so that nothing is concluded about it. */
  acknowledges?: boolean;
  /** Told that something of a topic is gone. */
  onGap?(topic: string): void;
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

const PAUSE_MS = 50;

export class Roamer {
  readonly stays: Stay[] = [];
  readonly books = new Books();
  /** From the end of each connection until another one had brought every topic up to date, milliseconds. */
  readonly recoveriesMs: number[] = [];
  /** Connections that went on by a reconnect token. */
  resumed = 0;
  /** Reconnect tokens that were refused. */
  refusedTokens = 0;
  readonly #options: RoamerOptions;
  readonly #topics = new Set<string>();
  /** Topics that are not up to date since the last connection ended, and when that was. */
  #behind = new Set<string>();
  /** Up to where this connection has brought it in each topic, since it said so last. */
  readonly #unsaid = new Map<string, Place>();
  #lostAt = 0;
  #reconnectToken = '';
  #peer: Peer | null = null;
  #isOver = false;
  #live = Promise.withResolvers<Peer>();
  readonly #run: Promise<void>;

  constructor(options: RoamerOptions) {
    this.#options = options;
    this.#run = this.#roam();
  }

  /** The offset up to which it has everything of a topic. */
  offsetOf(topic: string): number {
    return this.books.places.get(topic)?.offset ?? 0;
  }

  /** Its connection, as soon as it has one. */
  get live(): Promise<Peer> {
    return this.#live.promise;
  }

  /** The one it has now, if any. */
  get peer(): Peer | null {
    return this.#peer;
  }

  /** Asks until it is answered, on whatever connection. */
  async ask(message: Message): Promise<Message> {
    while (!this.#isOver) {
      const peer = await this.live;
      try {
        return await peer.ask(message);
      } catch {
        // The connection ended before the answer: whether it was heard shows when it is asked again.
      }
    }
    throw new Error('the client was closed');
  }

  /** Follows a topic from its beginning, for good. */
  follow(topic: string): void {
    if (this.#topics.has(topic)) return;
    this.#topics.add(topic);
    this.#behind.add(topic);
    if (this.#peer) void this.#subscribe(this.#peer, topic);
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
    this.#live.resolve(peer);
    const restored = new Set<string>(welcome.restored_topics ?? []);
    this.#behind = new Set([...restored, ...this.#topics]);
    this.#unsaid.clear();
    this.#caughtUp();
    for (const topic of [`user:${welcome.user_id}`, ...restored]) this.#keepBooks(peer, topic);
    for (const message of peer.inbox.all) this.#take(message, stay);
    peer.inbox.onMessage = (message) => this.#take(message, stay);
    for (const topic of this.#topics) if (!restored.has(topic)) void this.#subscribe(peer, topic);
    const beat = setInterval(() => {
      peer.send({ heartbeat: {} });
      this.#acknowledge(peer);
    }, this.#options.heartbeatMs);
    const { code, reason } = await peer.ended;
    clearInterval(beat);
    stay.end = `${code} ${reason}`;
    this.#peer = null;
    this.#live = Promise.withResolvers();
    this.#lostAt ||= performance.now();
  }

  /** Before anything is sent of it: nothing may be concluded about a reader that is slow. */
  #keepBooks(peer: Peer, topic: string): void {
    if (this.#options.acknowledges) peer.send({ received: { topic, offset: 0 } });
  }

  #acknowledge(peer: Peer): void {
    if (!this.#options.acknowledges) return;
    for (const [topic, { offset, epoch }] of this.#unsaid) {
      // Until the topic is followed again, its place would mean nothing to this session.
      if (this.#behind.has(topic)) continue;
      this.#unsaid.delete(topic);
      peer.send({ received: { topic, offset, epoch } });
    }
  }

  /** Asked again while Redis is away, for as long as the connection lasts. */
  async #subscribe(peer: Peer, topic: string): Promise<void> {
    this.#keepBooks(peer, topic);
    while (this.#peer === peer) {
      const { offset, epoch } = this.books.places.get(topic) ?? { offset: 0, epoch: '' };
      const answer = await peer.ask({ subscribe: { topic, since_offset: offset, epoch } }).catch(() => null);
      if (answer?.subscribed) return;
      if (answer && answer.error.code !== 'RIDE_UNAVAILABLE') this.#options.onError(JSON.stringify(answer.error));
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  #take(message: Message, stay: Stay): void {
    if (message.go_away) {
      stay.goAways++;
      this.#options.onGoAway(stay.nodeId);
    }
    // What was asked for is answered to whoever asked; a session that cannot be set up while Redis is away says so and ends.
    if (message.error && !message.corr_id && message.error.code !== 'RIDE_UNAVAILABLE')
      this.#options.onError(JSON.stringify(message.error));
    if (message.subscribed) this.#subscribed(message.subscribed);
    const { topic, epoch, event_id } = message;
    const offset = Number(message.offset ?? 0);
    if (offset === 0) return;
    this.#unsaid.set(topic, { offset, epoch });
    this.books.take(topic, { offset, epoch }, event_id, message, Number(message.sent_at_ms));
  }

  #subscribed({ topic, recovered, offset, epoch }: Message): void {
    if (!recovered) {
      this.books.gone(topic, { offset: Number(offset ?? 0), epoch: epoch ?? '' });
      this.#options.onGap?.(topic);
    }
    if (this.#behind.delete(topic)) this.#caughtUp();
  }

  #caughtUp(): void {
    if (this.#behind.size > 0 || this.#lostAt === 0) return;
    this.recoveriesMs.push(performance.now() - this.#lostAt);
    this.#lostAt = 0;
  }
}

/** One that follows a topic from its beginning, by its own place, and ends with the test. */
export function follower(
  t: { after(hook: () => Promise<void>): void },
  at: Address,
  accessToken: string,
  topic: string,
): Roamer {
  const roamer = new Roamer({
    at,
    transport: 'websocket-json',
    accessToken,
    way: 'places',
    heartbeatMs: 500,
    onGoAway() {},
    onError(error) {
      throw new Error(error);
    },
  });
  roamer.follow(topic);
  t.after(() => roamer.close());
  return roamer;
}
