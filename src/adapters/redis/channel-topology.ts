/**
 * Which connection listens to a channel: the only one on a single server; on a cluster the one to the master of the channel's
 * slot, which changes when a master fails or a slot moves.
 */
import type { Cluster, Redis, RedisOptions } from 'ioredis';
import { ChannelLink, type LinkOwner } from './channel-link.ts';
import { clusterAddress, isClusterUrl, redisOptions } from './connection.ts';
import { slotOf } from './slots.ts';

export interface Topology {
  readonly sharded: boolean;
  /** Undefined while no master of the channel is known. */
  linkOf(channel: string): ChannelLink | undefined;
  links(): Iterable<ChannelLink>;
  /** Asks the cluster who serves what; `changed` follows when that is another one than before. */
  refresh(): void;
  /** Ends connections to servers that are masters no more. */
  prune(): void;
  close(): void;
}

export function createTopology(url: string, commands: Redis, owner: LinkOwner, changed: () => void): Topology {
  if (!isClusterUrl(url)) return new SingleServer(redisOptions({ url }), owner);
  return new ClusterMasters(commands as unknown as Cluster, clusterAddress(url).access, owner, changed);
}

class SingleServer implements Topology {
  readonly sharded = false;
  readonly #link: ChannelLink;

  constructor(access: RedisOptions, owner: LinkOwner) {
    this.#link = new ChannelLink('', access, false, owner);
  }

  linkOf(): ChannelLink {
    return this.#link;
  }

  links(): Iterable<ChannelLink> {
    return [this.#link];
  }

  refresh(): void {}

  prune(): void {}

  close(): void {
    this.#link.close();
  }
}

class ClusterMasters implements Topology {
  readonly sharded = true;
  readonly #cluster: Cluster;
  readonly #access: RedisOptions;
  readonly #owner: LinkOwner;
  readonly #changed: () => void;
  readonly #links = new Map<string, ChannelLink>();
  /** Master of each slot, `host:port`. */
  #masters: (string | undefined)[] = [];
  #closed = false;

  constructor(cluster: Cluster, access: RedisOptions, owner: LinkOwner, changed: () => void) {
    this.#cluster = cluster;
    this.#access = access;
    this.#owner = owner;
    this.#changed = changed;
    cluster.on('refresh', this.#follow);
    // Not at once: whoever makes this has to have it first.
    setImmediate(this.#follow);
  }

  readonly #follow = (): void => {
    if (this.#closed) return;
    const masters = Array.from(this.#cluster.slots, (nodes) => nodes?.[0]);
    if (masters.length === this.#masters.length && masters.every((master, slot) => master === this.#masters[slot]))
      return;
    this.#masters = masters;
    for (const name of new Set(masters)) {
      if (name === undefined || this.#links.has(name)) continue;
      const colon = name.lastIndexOf(':');
      const at = { host: name.slice(0, colon), port: Number(name.slice(colon + 1)) };
      this.#links.set(name, new ChannelLink(name, { ...this.#access, ...at }, true, this.#owner));
    }
    this.#changed();
  };

  linkOf(channel: string): ChannelLink | undefined {
    const master = this.#masters[slotOf(channel)];
    return master === undefined ? undefined : this.#links.get(master);
  }

  links(): Iterable<ChannelLink> {
    return this.#links.values();
  }

  refresh(): void {
    this.#cluster.refreshSlotsCache();
  }

  prune(): void {
    const masters = new Set(this.#masters);
    for (const [name, link] of this.#links) {
      if (masters.has(name)) continue;
      link.close();
      this.#links.delete(name);
    }
  }

  close(): void {
    this.#closed = true;
    this.#cluster.off('refresh', this.#follow);
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }
}
