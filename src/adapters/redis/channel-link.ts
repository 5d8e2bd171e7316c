/**
 * One connection that listens to channels of one Redis server: plain pub/sub, or the shard channels of a cluster's master.
 * It reconnects by itself, but takes no channel up again by itself: whoever owns it has to know when each one stands.
 */
import { Redis, type RedisOptions } from 'ioredis';
import { COMMAND_TIMEOUT_MS, retryStrategy } from './connection.ts';
import { PushedMessages } from './pushed-messages.ts';

export interface LinkOwner {
  /** The connection stands; no channel does. */
  linkUp(link: ChannelLink): void;
  /** Every channel of it is gone. */
  linkDown(link: ChannelLink): void;
  /** The server gave channels up: their slots went to another one. */
  linkStale(link: ChannelLink): void;
  message(channel: string, data: Buffer): void;
  error(error: Error): void;
}

export class ChannelLink {
  readonly name: string;
  readonly #redis: Redis;
  readonly #sharded: boolean;
  #up = false;

  constructor(name: string, access: RedisOptions, sharded: boolean, owner: LinkOwner) {
    this.name = name;
    this.#sharded = sharded;
    const redis = new Redis({
      ...access,
      retryStrategy,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResubscribe: false,
      autoResendUnfulfilledCommands: false,
      commandTimeout: COMMAND_TIMEOUT_MS,
      keepAlive: 10_000,
    });
    this.#redis = redis;
    redis.on('error', (error) => owner.error(error));
    redis.on('moved', () => owner.linkStale(this));
    redis.on('ready', () => {
      this.#up = true;
      this.#divert(owner);
      owner.linkUp(this);
    });
    redis.on('close', () => {
      if (!this.#up) return;
      this.#up = false;
      owner.linkDown(this);
    });
  }

  /** From here on messages come by the short way. The handshake is over, so that what comes next begins a reply. */
  #divert(owner: LinkOwner): void {
    const { stream } = this.#redis;
    const [parse] = stream.listeners('data') as [(bytes: Buffer) => void];
    const kind = this.#sharded ? 'smessage' : 'message';
    const messages = new PushedMessages(kind, (channel, data) => owner.message(channel, data), parse);
    stream.off('data', parse);
    stream.on('data', (chunk: Buffer) => messages.read(chunk));
  }

  get up(): boolean {
    return this.#up;
  }

  /** Resolves when the server has confirmed all; on a cluster they must share one slot. */
  async listen(channels: readonly string[]): Promise<void> {
    await (this.#sharded ? this.#redis.ssubscribe(...channels) : this.#redis.subscribe(...channels));
  }

  async leave(channel: string): Promise<void> {
    if (!this.#up) return;
    await (this.#sharded ? this.#redis.sunsubscribe(channel) : this.#redis.unsubscribe(channel));
  }

  /** A connection whose other end is silently gone would be taken for a quiet one: it is broken up. */
  async probe(): Promise<void> {
    if (!this.#up) return;
    try {
      await this.#redis.ping();
    } catch {
      if (this.#up) this.#redis.disconnect(true);
    }
  }

  close(): void {
    this.#up = false;
    this.#redis.disconnect();
  }
}
