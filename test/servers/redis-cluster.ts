/**
 * A real Redis Cluster for a test: three masters with a replica each on loopback, free ports, temporary folders, gone with
 * the test. It is put together by commands, so that no redis-cli is needed.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from '../../sim/free-port.ts';
import { until } from '../until.ts';
import { findProgram, keepServer, type Running, startUntil, type TestScope } from './process.ts';

export interface ClusterNode {
  port: number;
  /** 0 while it does not run. */
  pid(): number;
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts again with the same port and folder; it comes back as whatever the others made of it. */
  restart(): Promise<void>;
  /** One command to this node itself. */
  call(...command: [string, ...(string | number)[]]): Promise<unknown>;
}

export interface RedisCluster {
  /** As REDIS_URL takes it. */
  url: string;
  nodes: readonly ClusterNode[];
  /** The node that serves `key` now. */
  masterOf(key: string): Promise<ClusterNode>;
  /** Gives the slot of `key`, with all that is in it, to another master, while it is being used. */
  moveSlotOf(key: string): Promise<void>;
}

const MASTERS = 3;
const SLOTS = 16_384;
/** A master is given up after this long; failover takes two to three times as long. */
const NODE_TIMEOUT_MS = 1000;
const READY_LIMIT_MS = 10_000;
const KEYS_AT_ONCE = 100;
const MIGRATION_LIMIT_MS = 5000;

async function call(port: number, [name, ...args]: readonly [string, ...(string | number)[]]): Promise<unknown> {
  const redis = new Redis({
    port,
    host: '127.0.0.1',
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
  });
  redis.on('error', () => {});
  try {
    await redis.connect();
    return await redis.call(name, ...args);
  } finally {
    redis.disconnect();
  }
}

async function startNode(t: TestScope, program: string): Promise<ClusterNode & { busPort: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-cluster-'));
  let port = 0;
  let busPort = 0;

  function launch(): Promise<Running> {
    const args = ['--port', String(port), '--cluster-port', String(busPort), '--bind', '127.0.0.1', '--dir', folder];
    args.push('--cluster-enabled', 'yes', '--cluster-node-timeout', String(NODE_TIMEOUT_MS));
    args.push('--cluster-replica-validity-factor', '0', '--cluster-announce-ip', '127.0.0.1');
    args.push('--repl-diskless-sync-delay', '0', '--appendonly', 'no', '--save', '', '--maxmemory', '64mb');
    return startUntil(program, args, /Ready to accept connections/, READY_LIMIT_MS);
  }

  const server = keepServer(t, folder, launch);
  await server.startOn(async () => {
    [port, busPort] = [await freePort(), await freePort()];
  });
  return {
    port,
    busPort,
    pid: () => server.child?.pid ?? 0,
    kill: () => server.halt('SIGKILL'),
    restart: () => server.restart('SIGTERM'),
    call: (...command) => call(port, command),
  };
}

const nodesSeenBy = async (node: ClusterNode): Promise<string[]> =>
  String(await node.call('CLUSTER', 'NODES'))
    .trim()
    .split('\n');

/** Starts the six and resolves when every node sees all of them well. @throws Error when no Redis is on PATH. */
export async function startRedisCluster(t: TestScope): Promise<RedisCluster> {
  const program = findProgram('redis-server') ?? findProgram('valkey-server');
  if (!program) throw new Error('redis-server is not on PATH: install it (Debian, Homebrew: redis)');
  const nodes = await Promise.all(Array.from({ length: 2 * MASTERS }, () => startNode(t, program)));
  const [first] = nodes;
  for (const [index, node] of nodes.entries()) {
    await node.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
    if (index < MASTERS) {
      const share = (at: number): number => Math.floor((at * SLOTS) / MASTERS);
      await node.call('CLUSTER', 'ADDSLOTSRANGE', share(index), share(index + 1) - 1);
    }
    if (node !== first) await first!.call('CLUSTER', 'MEET', '127.0.0.1', node.port, node.busPort);
  }
  const healthy = (line: string): boolean => /connected/.test(line) && !/disconnected|handshake|fail/.test(line);
  for (const node of nodes) {
    await until(async () => (await nodesSeenBy(node)).filter(healthy).length === nodes.length, 'all nodes have met');
  }
  for (const [index, replica] of nodes.slice(MASTERS).entries()) {
    await replica.call('CLUSTER', 'REPLICATE', String(await nodes[index]!.call('CLUSTER', 'MYID')));
  }
  for (const replica of nodes.slice(MASTERS)) {
    const linked = async () => /master_link_status:up/.test(String(await replica.call('INFO', 'replication')));
    await until(linked, 'the replica is in step');
  }
  for (const node of nodes) {
    await until(async () => {
      const seen = await nodesSeenBy(node);
      const state = String(await node.call('CLUSTER', 'INFO'));
      return seen.filter((line) => /\bslave\b/.test(line)).length === MASTERS && state.includes('cluster_state:ok');
    }, 'the cluster is whole');
  }

  const alive = (): ClusterNode => nodes.find((node) => node.pid() !== 0)!;
  const owners = async (): Promise<[number, number, [string, number]][]> =>
    (await alive().call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
  const slotOf = async (key: string): Promise<number> => Number(await alive().call('CLUSTER', 'KEYSLOT', key));
  const nodeAt = (port: number): ClusterNode => nodes.find((node) => node.port === port)!;
  async function masterOf(key: string): Promise<ClusterNode> {
    const [slot, ranges] = [await slotOf(key), await owners()];
    return nodeAt(ranges.find(([from, to]) => from <= slot && slot <= to)![2][1]);
  }

  return {
    url: `redis-cluster://${nodes.map((node) => `127.0.0.1:${node.port}`).join(',')}`,
    nodes,
    masterOf,
    async moveSlotOf(key) {
      const [slot, from] = [await slotOf(key), await masterOf(key)];
      const [to] = (await owners()).map(([, , [, port]]) => nodeAt(port)).filter((node) => node !== from);
      const [fromId, toId] = [String(await from.call('CLUSTER', 'MYID')), String(await to!.call('CLUSTER', 'MYID'))];
      await to!.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
      await from.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
      for (;;) {
        const keys = (await from.call('CLUSTER', 'GETKEYSINSLOT', slot, KEYS_AT_ONCE)) as string[];
        if (keys.length === 0) break;
        await from.call('MIGRATE', '127.0.0.1', to!.port, '', 0, MIGRATION_LIMIT_MS, 'KEYS', ...keys);
      }
      // The new owner first: until it knows, nobody would own the slot.
      for (const node of [to!, from]) await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
    },
  };
}
