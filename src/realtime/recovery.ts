/**
 * What outlives a connection: the reconnect token, by which the next one takes up identity and subscriptions on any node, and
 * the user's inbox, in which ordered messages wait for it.
 *
 * Both remember what the client surely has (place.ts). That is noted at most once per heartbeat interval, when the client is
 * heard of, or when it acknowledges; writes go out at the end of the turn, and no session waits for them.
 */
import type { TopicPosition } from '../ports/bus.ts';
import type { Inboxes } from '../ports/inboxes.ts';
import type { Logger } from '../ports/logger.ts';
import type { Meter } from '../ports/meter.ts';
import type { Reconnects, SavedSession } from '../ports/reconnects.ts';
import { BEGINNING } from './replay.ts';
import type { SavedTopics, Session } from './session.ts';
import { ownTopic } from './topics.ts';

export interface RecoveryOptions {
  reconnects: Reconnects;
  inboxes: Inboxes;
  newToken(): string;
  /** Life of a token that is not written anew. */
  tokenTtlMs: number;
  /** What the client has is noted at most this often. */
  intervalMs: number;
  meter: Pick<Meter, 'stream'>;
  log: Logger;
}

/** What a token stood for. */
export interface Redeemed {
  token: string;
  session: SavedSession;
}

export class Recovery {
  readonly #options: RecoveryOptions;
  /** Sessions whose token is to be written at the end of this turn. */
  readonly #changed = new Set<Session>();

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /**
   * Gives a new session its reconnect token.
   * @param topics what an earlier connection's token restores
   * Resolves when any node can redeem it; without Redis the session has none.
   */
  async begin(session: Session, topics: SavedTopics | null): Promise<void> {
    const { reconnects, newToken, log } = this.#options;
    session.restoring = topics;
    const token = newToken();
    try {
      await reconnects.create(token, this.#describe(session), this.#ttlOf(session.principal.expiresAt));
    } catch (error) {
      log.warn({ err: error, session_id: session.id }, 'a session without a reconnect token');
      return;
    }
    if (session.closed) reconnects.forget(token);
    else {
      session.reconnectToken = token;
      session.savedAt = Date.now();
    }
  }

  /** Takes a token out; null when it stands for nothing. @throws RideError RIDE_UNAVAILABLE */
  async redeem(token: string): Promise<Redeemed | null> {
    const session = await this.#options.reconnects.redeem(token);
    return session && { token, session };
  }

  /** A session that could not be opened leaves its token as good as it was. */
  giveBack(redeemed: Redeemed | null): void {
    if (!redeemed) return;
    this.#options.meter.stream('reconnect', 'given_back');
    const { token, session } = redeemed;
    this.#options.reconnects.create(token, session, this.#ttlOf(session.expiresAt)).catch((error: unknown) => {
      this.#options.log.warn({ err: error, user_id: session.userId }, 'a reconnect token is lost');
    });
  }

  /** Every saved topic is followed again, or may not be. */
  restored(session: Session): void {
    session.restoring = null;
    this.changed(session);
  }

  /** Where the user's own topic goes on. @throws RideError RIDE_UNAVAILABLE */
  async inboxOf(userId: string): Promise<TopicPosition> {
    return (await this.#options.inboxes.position(userId)) ?? BEGINNING;
  }

  /** The client was heard of. Cheap: called for every inbound message. */
  heard(session: Session, now: number): void {
    if (now - session.notedAt < this.#options.intervalMs || !session.idle) return;
    session.notedAt = now;
    let isNew = false;
    for (const { feed, place, position, isLive } of session.subscriptions) {
      if (!isLive || !place.heard(position)) continue;
      isNew = true;
      if (feed.topic === ownTopic(session.principal))
        this.#options.inboxes.advance(session.principal.userId, place.confirmed!);
    }
    if (isNew || now > session.savedAt + this.#ttlOf(session.principal.expiresAt) / 2) this.changed(session);
  }

  /** The client has everything of a topic that it follows, up to `position`. */
  acknowledge(session: Session, topic: string, position: TopicPosition): void {
    const place = session.subscriptions.get(topic)?.place;
    if (!place?.acknowledge(position)) return;
    if (topic === ownTopic(session.principal)) {
      this.#options.inboxes.advance(session.principal.userId, position);
    }
    this.changed(session);
  }

  /** What the session's token stands for has changed. */
  changed(session: Session): void {
    if (session.reconnectToken === '') return;
    this.#changed.add(session);
    if (this.#changed.size === 1) setImmediate(() => this.#save());
  }

  #save(): void {
    const now = Date.now();
    for (const session of this.#changed) {
      // What a closed session followed is no longer known; its token was written when that changed last.
      if (session.closed) continue;
      session.savedAt = now;
      this.#options.reconnects.update(
        session.reconnectToken,
        this.#describe(session),
        this.#ttlOf(session.principal.expiresAt),
      );
    }
    this.#changed.clear();
  }

  /** The client said goodbye, or may not come back: its token is worth nothing any more. */
  forget(session: Session): void {
    if (session.reconnectToken === '') return;
    this.#options.reconnects.forget(session.reconnectToken);
    session.reconnectToken = '';
  }

  #ttlOf(signInEndsAt: number): number {
    return Math.min(this.#options.tokenTtlMs, signInEndsAt - Date.now());
  }

  #describe({ principal, namespace, subscriptions, restoring }: Session): SavedSession {
    const topics: Record<string, TopicPosition> = { ...restoring };
    for (const { feed, place } of subscriptions) if (place.confirmed) topics[feed.topic] = place.confirmed;
    return { ...principal, namespace, topics };
  }
}
