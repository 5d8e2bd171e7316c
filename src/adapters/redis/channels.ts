/**
 * The channels that this process listens to, each on the connection that serves it. A channel whose connection broke, or whose
 * slot went to another master, is taken up again there; only when the server has confirmed that, its owner is told, who then
 * looks for what passed by meanwhile.
 */
import type { Redis } from 'ioredis';
import { RideError } from '../../errors.ts';
import type { Logger } from '../../ports/logger.ts';
import type { ChannelLink } from './channel-link.ts';
import { createTopology, type Topology } from './channel-topology.ts';
import { COMMAND_TIMEOUT_MS, redisAway } from './connection.ts';
import { slotOf } from './slots.ts';

export interface Channels {
  /** With which a message reaches them. */
  readonly publishCommand: 'PUBLISH' | 'SPUBLISH';
  /**
   * Resolves when everything published from now on arrives. Counted: each needs its `unsubscribe`, also one that rejected.
   * @throws RideError RIDE_UNAVAILABLE when Redis does not confirm in time, RIDE_CONFLICT when the last one unsubscribed before that
   */
  subscribe(channel: string): Promise<void>;
  unsubscribe(channel: string): void;
  /** Somebody of this process subscribed to it. */
  has(channel: string): boolean;
  /** Listening no more: messages may pass by until `onBack`. Comes before the first message after them. */
  onAway(listener: (channels: readonly string[]) => void): void;
  /** Listening again. */
  onBack(listener: (channels: readonly string[]) => void): void;
  close(): void;
}

export interface ChannelsOptions {
  url: string;
  /** The connection for commands; on a cluster it knows who serves what. */
  commands: Redis;
  onMessage(channel: string, data: Buffer): void;
  onError(error: Error): void;
  log: Logger;
}

interface Entry {
  readonly channel: string;
  /** Subscribers of this process. */
  count: number;
  /** Where it stands, or was asked for. */
  link: ChannelLink | null;
  stands: boolean;
  /** It stood before. */
  missed: boolean;
  /** Those who wait for it, and since when (process clock, ms). */
  waiting: (PromiseWithResolvers<void> & { since: number }) | null;
}

/** Channels of one SUBSCRIBE. */
const BATCH = 500;
/** While something cannot be placed, the cluster is asked again this often. */
const RETRY_MS = 100;
const TICK_MS = 1000;
/** Each connection is probed at every so many ticks. */
const PROBE_TICKS = 5;

export function createChannels(options: ChannelsOptions): Channels {
  return new ChannelSet(options);
}

class ChannelSet implements Channels {
  readonly #log: Logger;
  readonly #topology: Topology;
  readonly #entries = new Map<string, Entry>();
  /** Entries that stand nowhere and were not asked for yet. */
  readonly #homeless = new Set<Entry>();
  readonly #tick: NodeJS.Timeout;
  #ticks = 0;
  #placing = false;
  #retry: NodeJS.Timeout | null = null;
  /** Why the last SUBSCRIBE failed. */
  #refusal: unknown = new Error('no connection');
  #back: string[] = [];
  #onAway: (channels: readonly string[]) => void = () => {};
  #onBack: (channels: readonly string[]) => void = () => {};
  #closed = false;

  constructor({ url, commands, onMessage, onError, log }: ChannelsOptions) {
    this.#log = log;
    const owner = {
      linkUp: () => this.#schedule(),
      linkDown: (link: ChannelLink) => this.#lost(link),
      linkStale: (link: ChannelLink) => this.#lost(link),
      message: onMessage,
      error: onError,
    };
    this.#topology = createTopology(url, commands, owner, () => this.#moved());
    this.#tick = setInterval(() => this.#onTick(), TICK_MS);
  }

  get publishCommand(): 'PUBLISH' | 'SPUBLISH' {
    return this.#topology.sharded ? 'SPUBLISH' : 'PUBLISH';
  }

  subscribe(channel: string): Promise<void> {
    let entry = this.#entries.get(channel);
    if (!entry) {
      entry = { channel, count: 0, link: null, stands: false, missed: false, waiting: null };
      this.#entries.set(channel, entry);
      this.#homeless.add(entry);
      this.#schedule();
    }
    entry.count++;
    if (entry.stands) return Promise.resolve();
    entry.waiting ??= { ...Promise.withResolvers<void>(), since: performance.now() };
    return entry.waiting.promise;
  }

  unsubscribe(channel: string): void {
    const entry = this.#entries.get(channel);
    if (!entry || --entry.count > 0) return;
    this.#entries.delete(channel);
    this.#homeless.delete(entry);
    this.#settle(entry, new RideError('RIDE_CONFLICT', 'The subscription ended before it stood'));
    if (entry.link) this.#leave(entry.link, channel);
  }

  has(channel: string): boolean {
    return this.#entries.has(channel);
  }

  onAway(listener: (channels: readonly string[]) => void): void {
    this.#onAway = listener;
  }

  onBack(listener: (channels: readonly string[]) => void): void {
    this.#onBack = listener;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#tick);
    if (this.#retry) clearTimeout(this.#retry);
    this.#topology.close();
    for (const entry of this.#entries.values()) this.#settle(entry, redisAway(new Error('closed')));
  }

  #settle(entry: Entry, error?: Error): void {
    const { waiting } = entry;
    entry.waiting = null;
    if (error) waiting?.reject(error);
    else waiting?.resolve();
  }

  #leave(link: ChannelLink, channel: string): void {
    link.leave(channel).catch((error: unknown) => {
      this.#log.debug({ err: error, channel }, 'unsubscribe failed; a new connection starts without it');
    });
  }

  /** The channels of `link` are gone from it. */
  #lost(link: ChannelLink): void {
    this.#unsettle((entry) => entry.link === link);
    this.#topology.refresh();
  }

  /** The cluster's masters are others than before. */
  #moved(): void {
    this.#unsettle(({ link, channel }) => {
      if (link === null || this.#topology.linkOf(channel) === link) return false;
      this.#leave(link, channel);
      return true;
    });
    this.#topology.prune();
  }

  /** Channels that stand no more have to be placed anew. */
  #unsettle(isLost: (entry: Entry) => boolean): void {
    const away: string[] = [];
    for (const entry of this.#entries.values()) {
      if (!isLost(entry)) continue;
      if (entry.stands) away.push(entry.channel);
      entry.missed ||= entry.stands;
      entry.stands = false;
      entry.link = null;
      this.#homeless.add(entry);
    }
    if (away.length > 0) this.#onAway(away);
    this.#schedule();
  }

  /** At the end of the turn, so that what several sessions ask for goes out together. */
  #schedule(): void {
    if (this.#placing || this.#closed) return;
    this.#placing = true;
    setImmediate(() => {
      this.#placing = false;
      if (!this.#closed) this.#place();
    });
  }

  #place(): void {
    const batches = new Map<ChannelLink, Map<number, Entry[]>>();
    for (const entry of this.#homeless) {
      const link = this.#topology.linkOf(entry.channel);
      if (!link?.up) continue;
      this.#homeless.delete(entry);
      entry.link = link;
      const bySlot = batches.get(link) ?? new Map<number, Entry[]>();
      batches.set(link, bySlot);
      const slot = this.#topology.sharded ? slotOf(entry.channel) : 0;
      const entries = bySlot.get(slot);
      if (entries) entries.push(entry);
      else bySlot.set(slot, [entry]);
    }
    for (const [link, bySlot] of batches) {
      for (const entries of bySlot.values()) {
        for (let at = 0; at < entries.length; at += BATCH) void this.#listen(link, entries.slice(at, at + BATCH));
      }
    }
    this.#retryLater();
  }

  async #listen(link: ChannelLink, entries: readonly Entry[]): Promise<void> {
    const isMine = (entry: Entry): boolean => entry.link === link && this.#entries.get(entry.channel) === entry;
    try {
      await link.listen(entries.map((entry) => entry.channel));
      for (const entry of entries) if (isMine(entry)) this.#stand(entry);
    } catch (error) {
      // The slot moved, the connection broke, or Redis refuses: asked for again until it stands or nobody wants it.
      this.#log.debug({ err: error, channels: entries.length }, 'channels not taken up; tried again');
      this.#refusal = error;
      for (const entry of entries) {
        if (!isMine(entry)) continue;
        entry.link = null;
        this.#homeless.add(entry);
      }
      this.#retryLater();
    }
  }

  #stand(entry: Entry): void {
    entry.stands = true;
    this.#settle(entry);
    if (!entry.missed) return;
    entry.missed = false;
    if (this.#back.push(entry.channel) > 1) return;
    setImmediate(() => {
      const channels = this.#back;
      this.#back = [];
      if (!this.#closed) this.#onBack(channels);
    });
  }

  #retryLater(): void {
    if (this.#homeless.size === 0 || this.#retry !== null || this.#closed) return;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.#topology.refresh();
      this.#schedule();
    }, RETRY_MS);
  }

  #onTick(): void {
    if (++this.#ticks % PROBE_TICKS === 0) for (const link of this.#topology.links()) void link.probe();
    const overdue = performance.now() - COMMAND_TIMEOUT_MS;
    for (const entry of this.#homeless) {
      if (entry.waiting && entry.waiting.since < overdue) this.#settle(entry, redisAway(this.#refusal));
    }
  }
}
