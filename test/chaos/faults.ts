/** What happens to servers, Redis and lines in a storm; each kind is counted. */
import type { Chooser, Line } from '../servers/chooser.ts';
import type { Node } from '../servers/nodes.ts';
import type { RedisServer } from '../servers/redis.ts';
import type { RedisCluster } from '../servers/redis-cluster.ts';
import { until } from '../until.ts';

const FAILOVER_LIMIT_MS = 30_000;
const DOWN_MS = 300;
const HELD_MS = [200, 1500] as const;

export type Random = () => number;

/** A misfortune; resolves when what it took down is there again. */
export interface Fault {
  name: string;
  strike(): Promise<void>;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const oneOf = <T>(all: Iterable<T>, random: Random): T | undefined => {
  const list = [...all];
  return list[Math.floor(random() * list.length)];
};

export function nodeKilled(nodes: readonly Node[], chooser: Chooser, random: Random): Fault {
  return {
    name: 'nodes killed',
    async strike() {
      const victim = oneOf(nodes, random)!;
      await victim.program.kill();
      await sleep(DOWN_MS);
      await victim.start();
      await until(() => chooser.isReady(victim), `${victim.name} to be ready again`, FAILOVER_LIMIT_MS);
    },
  };
}

export function redisRestarted(redis: RedisServer): Fault {
  return {
    name: 'Redis restarts',
    async strike() {
      await redis.stop();
      await sleep(DOWN_MS);
      await redis.restart();
    },
  };
}

export function redisKilled(redis: RedisServer): Fault {
  return {
    name: 'Redis kills',
    async strike() {
      await redis.kill();
      await sleep(DOWN_MS);
      await redis.restart();
    },
  };
}

/** The master of some topic; its replica takes over, and it comes back as a replica. */
export function masterKilled(cluster: RedisCluster, topics: () => readonly string[], random: Random): Fault {
  return {
    name: 'failovers',
    async strike() {
      const topic = oneOf(topics(), random)!;
      const victim = await cluster.masterOf(topic);
      await victim.kill();
      const isReplaced = async (): Promise<boolean> => (await cluster.masterOf(topic)).port !== victim.port;
      await until(isReplaced, 'a replica to take over', FAILOVER_LIMIT_MS);
      await victim.restart();
      // Before that another failover would find nobody who could take over.
      const isInStep = async (): Promise<boolean> =>
        /master_link_status:up/.test(String(await victim.call('INFO', 'replication')));
      await until(isInStep, 'it is a replica in step', FAILOVER_LIMIT_MS);
    },
  };
}

export function slotMoved(cluster: RedisCluster, topics: () => readonly string[], random: Random): Fault {
  return {
    name: 'slots moved',
    async strike() {
      for (let i = 0; i < 5; i++) await cluster.moveSlotOf(oneOf(topics(), random)!);
    },
  };
}

/** Cuts lines, holds them up and closes halves of them, one every `everyMs`, until `isOver`. Resolves how many of each. */
export async function badLines(
  chooser: Chooser,
  everyMs: number,
  random: Random,
  isOver: () => boolean,
): Promise<Record<string, number>> {
  const done: Record<string, number> = { 'lines cut': 0, 'lines held up': 0, 'lines half closed': 0 };
  const up = (): 'up' | 'down' => (random() < 0.5 ? 'up' : 'down');
  const kinds: [string, (line: Line) => void][] = [
    ['lines cut', (line) => line.cut()],
    ['lines held up', (line) => line.hold(up(), HELD_MS[0] + random() * (HELD_MS[1] - HELD_MS[0]))],
    ['lines half closed', (line) => line.halfClose(up())],
  ];
  while (!isOver()) {
    await sleep(everyMs * (0.5 + random()));
    const line = oneOf(chooser.lines, random);
    if (!line) continue;
    const [name, strike] = oneOf(kinds, random)!;
    strike(line);
    done[name]!++;
  }
  return done;
}
