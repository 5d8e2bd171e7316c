/**
 * A session that survives its connections: it connects to any of the servers, answers the heartbeat rule, remembers its
 * place in every topic it follows and asks for what it missed after a reconnect, and repeats what was never answered.
 * Written from the protocol alone, for either transport.
 */
import type { Draw } from '../random.ts';
import type { Scheduler, Task } from '../scheduler.ts';
import { type Envelope, type Link, type LinkEvents, num, type PayloadName, payloadOf, str } from './link.ts';
import type { ServerAddress } from './rest.ts';
import { TopicBook } from './topic-book.ts';

export interface SessionHandlers {
  /** After each connect, when the topics were asked for again. */
  onWelcome(welcome: Record<string, unknown>, server: ServerAddress): void;
  /** Each ordered message as it came, repeats included. */
  onRaw(name: PayloadName, payload: Record<string, unknown>, envelope: Envelope): void;
  /** Each message once. `live`: it was just published, not replayed from the history. */
  onPayload(name: PayloadName, payload: Record<string, unknown>, envelope: Envelope, live: boolean): void;
  onSubscribed(subscribed: Record<string, unknown>): void;
  onTopicRefused(topic: string, code: string): void;
  onEnd(reason: string): void;
}

export interface SessionOptions {
  servers: readonly ServerAddress[];
  open(server: ServerAddress, events: LinkEvents): Link;
  scheduler: Scheduler;
  draw: Draw;
  userTopic: string;
  handlers: SessionHandlers;
}

export type Answer =
  | { ok: true; tookMs: number; ack: Record<string, unknown> }
  | { ok: false; code: string; message: string };

type OnAck = (tookMs: number, ack: Record<string, unknown>) => void;

interface Question {
  payload: Envelope;
  resolve(answer: Answer): void;
  corrId: string;
  sentAtMs: number;
  timeouts: number;
  refusals: number;
  timer: Task | undefined;
}

const ANSWER_TIMEOUT_MS = 8_000;
const WELCOME_TIMEOUT_MS = 10_000;
const MAX_REFUSALS = 30;
const RECONNECT_MS = { first: 250, longest: 3_000 };

export class Session {
  private readonly options: SessionOptions;
  private readonly topics: TopicBook;
  private link: Link | undefined;
  private closed = false;
  private attempts = 0;
  private serverIndex: number;
  private nextCorrId = 1;
  private lamport = 0;
  private lastInMs = 0;
  private lastOutMs = 0;
  private reconnectAfterMs = 0;
  private watch: Task | undefined;
  /** Must be answered, whatever happens to the connection; by key, in the order of asking. */
  private readonly questions = new Map<string, Question>();
  /** Topics that were asked for, by the id of the asking. */
  private readonly subscribing = new Map<string, string>();
  private readonly keyByCorrId = new Map<string, string>();
  /** Sent once; only the time to the ack is of interest. */
  private readonly casts = new Map<string, { sentAtMs: number; onAck: OnAck }>();
  /** Whether the server has said welcome on the present connection. */
  isOpen = false;
  connects = 0;

  constructor(options: SessionOptions) {
    this.options = options;
    this.topics = new TopicBook(options.userTopic);
    this.serverIndex = Math.floor(options.draw() * options.servers.length);
  }

  connect(): void {
    const server = this.options.servers[this.serverIndex]!;
    this.lastInMs = Date.now();
    const events: LinkEvents = {
      onMessage: (envelope) => this.receive(envelope),
      onEnd: (reason) => this.ended(reason),
    };
    this.link = this.options.open(server, events);
    this.watch = this.options.scheduler.after(WELCOME_TIMEOUT_MS, () => this.link?.close());
  }

  close(): void {
    this.closed = true;
    if (this.watch) this.watch.cancelled = true;
    for (const question of this.questions.values()) {
      if (question.timer) question.timer.cancelled = true;
      question.resolve({ ok: false, code: 'CLIENT_CLOSED', message: 'the client has ended' });
    }
    this.questions.clear();
    this.link?.close();
  }

  /**
   * Sends until it is answered, over as many connections as it takes. The same key again, while unanswered, is the same
   * question. Refusals that may pass are repeated too; the others are the answer.
   */
  ask(key: string, payload: Envelope): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const known = this.questions.get(key);
    if (known) {
      const earlier = known.resolve;
      known.resolve = (answer) => {
        earlier(answer);
        resolve(answer);
      };
      return promise;
    }
    const question: Question = {
      payload,
      resolve,
      corrId: '',
      sentAtMs: 0,
      timeouts: 0,
      refusals: 0,
      timer: undefined,
    };
    this.questions.set(key, question);
    if (this.isOpen) this.put(key, question);
    return promise;
  }

  /** Sends once if connected; false when not. */
  cast(payload: Envelope, onAck: OnAck): boolean {
    if (!this.isOpen) return false;
    const corrId = this.write(payload);
    this.casts.set(corrId, { sentAtMs: performance.now(), onAck });
    return true;
  }

  /** Follows a topic from the start of its history. */
  subscribe(topic: string): void {
    this.topics.add(topic);
    if (this.isOpen) this.follow(topic);
  }

  unsubscribe(topic: string): void {
    this.topics.remove(topic);
    if (this.isOpen) this.write({ unsubscribe: { topic } });
  }

  private write(payload: Envelope): string {
    const corrId = `c${this.nextCorrId++}`;
    this.lastOutMs = Date.now();
    this.link?.send({ corr_id: corrId, lamport: ++this.lamport, ...payload });
    return corrId;
  }

  private follow(topic: string): void {
    this.subscribing.set(this.write({ subscribe: this.topics.request(topic) }), topic);
  }

  private put(key: string, question: Question): void {
    this.keyByCorrId.delete(question.corrId);
    question.corrId = this.write(question.payload);
    question.sentAtMs = performance.now();
    this.keyByCorrId.set(question.corrId, key);
    this.retryAfter(key, question, ANSWER_TIMEOUT_MS, () => {
      question.timeouts += 1;
      // Silence twice over: the connection may be dead without knowing it.
      if (question.timeouts % 2 === 0) this.link?.close();
    });
  }

  private retryAfter(key: string, question: Question, delayMs: number, before: () => void = () => {}): void {
    if (question.timer) question.timer.cancelled = true;
    question.timer = this.options.scheduler.after(delayMs, () => {
      if (this.questions.get(key) !== question || !this.isOpen) return;
      before();
      if (this.isOpen) this.put(key, question);
    });
  }

  private receive(envelope: Envelope): void {
    this.lastInMs = Date.now();
    this.lamport = Math.max(this.lamport, num(envelope.lamport)) + 1;
    const found = payloadOf(envelope);
    if (!found) return;
    const { name, payload } = found;
    if (name === 'welcome') this.welcomed(payload);
    else if (name === 'ack' || name === 'error') this.answered(str(envelope.corr_id), payload, name === 'error');
    else if (name === 'subscribed') {
      this.subscribing.delete(str(envelope.corr_id));
      this.topics.subscribed(payload);
      this.options.handlers.onSubscribed(payload);
    } else if (name === 'go_away') {
      this.reconnectAfterMs = num(payload.reconnect_after_ms);
      this.link?.close();
    } else this.deliver(name, payload, envelope);
  }

  private deliver(name: PayloadName, payload: Record<string, unknown>, envelope: Envelope): void {
    const ordered = num(envelope.offset) > 0;
    if (ordered) this.options.handlers.onRaw(name, payload, envelope);
    const live = this.topics.isLive(str(envelope.topic));
    if (ordered && !this.topics.take(envelope)) return;
    this.options.handlers.onPayload(name, payload, envelope, live);
  }

  private welcomed(welcome: Record<string, unknown>): void {
    this.isOpen = true;
    this.attempts = 0;
    this.connects += 1;
    if (this.watch) this.watch.cancelled = true;
    for (const topic of this.topics.all()) this.follow(topic);
    this.options.handlers.onWelcome(welcome, this.options.servers[this.serverIndex]!);
    for (const [key, question] of this.questions) {
      if (question.corrId === '' || !this.keyByCorrId.has(question.corrId)) this.put(key, question);
    }
    this.keepAlive(num(welcome.heartbeat_interval_ms) || 5_000, num(welcome.heartbeat_timeout_ms) || 15_000);
  }

  private keepAlive(intervalMs: number, timeoutMs: number): void {
    this.watch = this.options.scheduler.after(intervalMs, () => {
      const now = Date.now();
      if (now - this.lastInMs > timeoutMs) {
        this.link?.close();
        return;
      }
      if (now - this.lastOutMs > intervalMs * 0.9) this.write({ heartbeat: { client_time_ms: String(now) } });
      this.keepAlive(intervalMs, timeoutMs);
    });
  }

  private answered(corrId: string, answer: Record<string, unknown>, isError: boolean): void {
    const error = isError ? answer : undefined;
    const cast = this.casts.get(corrId);
    if (cast) {
      this.casts.delete(corrId);
      if (!error) cast.onAck(performance.now() - cast.sentAtMs, answer);
      return;
    }
    const topic = this.subscribing.get(corrId);
    if (topic !== undefined) {
      if (error) this.refusedTopic(corrId, topic, str(error.code));
      return;
    }
    const key = this.keyByCorrId.get(corrId);
    const question = key === undefined ? undefined : this.questions.get(key);
    if (key === undefined || !question) return;
    if (error?.retryable && ++question.refusals < MAX_REFUSALS) {
      const pauseMs = Math.max(num(error.retry_after_ms), 200) * (0.75 + this.options.draw() / 2);
      this.retryAfter(key, question, pauseMs);
      return;
    }
    this.keyByCorrId.delete(corrId);
    this.questions.delete(key);
    if (question.timer) question.timer.cancelled = true;
    if (error) question.resolve({ ok: false, code: str(error.code), message: str(error.message) });
    else question.resolve({ ok: true, tookMs: performance.now() - question.sentAtMs, ack: answer });
  }

  /** A topic of one's own that is refused may only be late in becoming one's own: ask again, a little later. */
  private refusedTopic(corrId: string, topic: string, code: string): void {
    this.subscribing.delete(corrId);
    this.options.handlers.onTopicRefused(topic, code);
    this.options.scheduler.after(500, () => {
      if (this.isOpen && this.topics.all().includes(topic)) this.follow(topic);
    });
  }

  /** The connection is over: another one, to the next server, after a pause that keeps thousands from coming at once. */
  private ended(reason: string): void {
    const wasOpen = this.isOpen;
    this.isOpen = false;
    this.link = undefined;
    this.topics.disconnected();
    this.keyByCorrId.clear();
    this.casts.clear();
    this.subscribing.clear();
    if (this.watch) this.watch.cancelled = true;
    if (this.closed) return;
    if (wasOpen) this.options.handlers.onEnd(reason);
    const { draw, servers, scheduler } = this.options;
    const pauseMs = Math.min(RECONNECT_MS.longest, RECONNECT_MS.first * 2 ** this.attempts++);
    const delayMs = Math.max(this.reconnectAfterMs, pauseMs * (0.2 + 0.8 * draw()));
    this.reconnectAfterMs = 0;
    this.serverIndex = (this.serverIndex + 1) % servers.length;
    scheduler.after(delayMs, () => {
      if (!this.closed) this.connect();
    });
  }
}
