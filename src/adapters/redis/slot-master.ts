/**
 * A connection to the master of one slot of a Redis Cluster, wherever that is: it follows a failover or a moved slot by
 * connecting again. For clients whose keys all share a slot, such as a queue, it is what a connection to one server is.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector, type Cluster, type Redis, type RedisOptions } from 'ioredis';
import { clusterAddress } from './connection.ts';
import { slotOf } from './slots.ts';

export interface SlotMasterOptions {
  /** REDIS_URL of the cluster. */
  url: string;
  /** A connection to the cluster, which knows its masters. */
  commands: Redis;
  /** Any key of the slot. */
  key: string;
}

/** What `new Redis(options)` takes, beside its limits. */
export function slotMasterOptions({ url, commands, key }: SlotMasterOptions): RedisOptions {
  const cluster = commands as unknown as Cluster;
  const { nodes, access } = clusterAddress(url);
  const seed = nodes[0] as { host: string; port: number };

  /** As the cluster says now, or said last; a wrong one says so itself. */
  async function master(): Promise<{ host: string; port: number }> {
    await new Promise<void>((resolve) => cluster.refreshSlotsCache(() => resolve()));
    const name = cluster.slots[slotOf(key)]?.[0];
    if (name === undefined) return seed;
    const colon = name.lastIndexOf(':');
    return { host: name.slice(0, colon), port: Number(name.slice(colon + 1)) };
  }

  class SlotMasterConnector extends AbstractConnector {
    constructor({ disconnectTimeout = 2000 }: { disconnectTimeout?: number }) {
      super(disconnectTimeout);
    }

    override async connect(): Promise<Socket> {
      this.connecting = true;
      const at = await master();
      if (!this.connecting) throw new Error('Connection is closed.');
      const stream = access.tls ? connectTls({ ...access.tls, ...at, servername: at.host }) : connect(at);
      stream.once('error', (error) => {
        this.firstError = error;
      });
      this.stream = stream;
      return stream;
    }
  }

  return {
    ...access,
    Connector: SlotMasterConnector as unknown as NonNullable<RedisOptions['Connector']>,
    // 2: connects again, and sends the command again.
    reconnectOnError: (error) => (/^(MOVED|READONLY) /.test(error.message) ? 2 : false),
  };
}
