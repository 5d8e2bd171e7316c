/**
 * A storm: real nodes over a real Redis, a crowd that is told things in order, and misfortune after misfortune; in the end
 * everything is there, once and in order, or whoever lacks something was told so.
 */
import { mkdir } from 'node:fs/promises';
import { createDraw } from '../../sim/random.ts';
import { patientRest } from '../clients/patient-rest.ts';
import { publisherOn } from '../clients/publisher.ts';
import { type Chooser, startChooser } from '../servers/chooser.ts';
import { type Node, startNodes } from '../servers/nodes.ts';
import type { TestScope } from '../servers/process.ts';
import { startRedis } from '../servers/redis.ts';
import { startRedisCluster } from '../servers/redis-cluster.ts';
import { until } from '../until.ts';
import { Crowd, type CrowdOptions } from './crowd.ts';
import { badLines, type Fault, masterKilled, nodeKilled, redisKilled, redisRestarted, slotMoved } from './faults.ts';
import { judge, type Verdict } from './verdict.ts';

export interface StormPlan extends Omit<CrowdOptions, 'heartbeatMs'> {
  redis: 'one' | 'cluster';
  nodes: number;
  /** How often each misfortune strikes. */
  rounds: number;
  /** Between two of them, milliseconds. */
  pauseMs: number;
  /** A line is cut, held up or closed in one direction every so many milliseconds. */
  badLineMs: number;
  /** Chooses whom it strikes. */
  seed: string;
  /** Logs and stores. */
  directory: string;
  say?(line: string): void;
}

export interface StormReport extends Verdict {
  clients: number;
  trips: number;
  seconds: number;
  /** How often each misfortune struck. */
  struck: Record<string, number>;
  disconnects: number;
  resumedByToken: number;
  resumedByPlace: number;
  /** Topics that went on in another epoch under a client, without anything missing. */
  turns: number;
  /** From publication to the first arrival, milliseconds. */
  delayP50Ms: number;
  delayP99Ms: number;
  longestGapMs: number;
  /** From the end of a connection until another had brought everything up to date, milliseconds. */
  recoveryP50Ms: number;
  longestRecoveryMs: number;
  /** What else went wrong. */
  faults: string[];
}

const HEARTBEAT_MS = 250;
const HISTORY = 20_000;

const settingsOf = (redisUrl: string): Record<string, string> => ({
  REDIS_URL: redisUrl,
  INBOX_LENGTH: String(HISTORY),
  HISTORY_LENGTH: String(HISTORY),
  HEARTBEAT_INTERVAL: `${HEARTBEAT_MS}ms`,
  HEARTBEAT_TIMEOUT: '4s',
  TOPIC_CHECK_INTERVAL: '2s',
  SWEEP_INTERVAL: '500ms',
  SWEEP_AGE: '500ms',
  OUTBOUND_BUFFER_BYTES: '262144',
  MAX_SUBSCRIPTIONS: '10000',
  MAX_SESSIONS_PER_USER: '1000',
});

interface Ground {
  url: string;
  faults(nodes: readonly Node[], chooser: Chooser, topics: () => readonly string[], random: () => number): Fault[];
}

async function groundOf(t: TestScope, redis: StormPlan['redis']): Promise<Ground> {
  if (redis === 'one') {
    const one = await startRedis(t, { appendOnly: true });
    const faults: Ground['faults'] = (nodes, chooser, _topics, random) => [
      nodeKilled(nodes, chooser, random),
      redisRestarted(one),
      nodeKilled(nodes, chooser, random),
      redisKilled(one),
    ];
    return { url: one.url, faults };
  }
  const cluster = await startRedisCluster(t);
  const faults: Ground['faults'] = (nodes, chooser, topics, random) => [
    nodeKilled(nodes, chooser, random),
    slotMoved(cluster, topics, random),
    masterKilled(cluster, topics, random),
  ];
  return { url: cluster.url, faults };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

/** Lets everything happen; resolves what came of it. Rejects only when something cannot go on at all. */
export async function storm(t: TestScope, plan: StormPlan): Promise<StormReport> {
  const random = createDraw(plan.seed);
  const say = plan.say ?? (() => {});
  await mkdir(plan.directory, { recursive: true });
  const ground = await groundOf(t, plan.redis);
  const nodes = await startNodes(t, plan.nodes, plan.directory, settingsOf(ground.url));
  const chooser = await startChooser(t, nodes);
  await until(() => nodes.every((node) => chooser.isReady(node)), 'all nodes to be ready');
  const rest = patientRest(chooser.http);
  const publisher = publisherOn(t, ground.url, HISTORY);
  const crowd = new Crowd({ ...plan, heartbeatMs: HEARTBEAT_MS }, rest, publisher, random);
  t.after(() => crowd.close());
  await crowd.begin(chooser);
  say(`${crowd.members.length} people on ${nodes.length} nodes`);

  const startedAt = performance.now();
  let isOver = false;
  const lines = badLines(chooser, plan.badLineMs, random, () => isOver);
  const struck: Record<string, number> = {};
  const topics = (): string[] => [
    ...crowd.members.map(({ id }) => `user:${id}`),
    ...[...crowd.trips.keys()].map((id) => `trip:${id}`),
  ];
  const faults = ground.faults(nodes, chooser, topics, random);
  for (let round = 0; round < plan.rounds; round++) {
    for (const { name, strike } of faults) {
      await new Promise((resolve) => setTimeout(resolve, plan.pauseMs));
      await strike();
      struck[name] = (struck[name] ?? 0) + 1;
      say(`${((performance.now() - startedAt) / 1000).toFixed(1)} s: ${name}`);
    }
  }
  await new Promise((resolve) => setTimeout(resolve, plan.pauseMs));
  isOver = true;
  Object.assign(struck, await lines);
  await crowd.finish();
  const seconds = (performance.now() - startedAt) / 1000;
  say(`${seconds.toFixed(1)} s: all is published`);
  const verdict = await judge(crowd, rest);
  return { ...verdict, ...summaryOf(crowd), seconds, struck };
}

function summaryOf(crowd: Crowd): Omit<StormReport, keyof Verdict | 'seconds' | 'struck'> {
  const roamers = crowd.members.map(({ roamer }) => roamer);
  const listeners = [...crowd.trips.values()].flatMap((trip) => trip.listeners);
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const stays = sum(roamers.map((roamer) => roamer.stays.length - 1));
  const streams = sum(listeners.map(({ connections }) => connections - 1));
  const resumedByToken = sum(roamers.map(({ resumed }) => resumed));
  const books = [...roamers, ...listeners].map((client) => client.books);
  const delays = books.flatMap(({ delaysMs }) => delaysMs);
  const recoveries = roamers.flatMap(({ recoveriesMs }) => recoveriesMs);
  return {
    clients: roamers.length + listeners.length,
    trips: crowd.trips.size,
    disconnects: stays + streams,
    resumedByToken,
    resumedByPlace: stays + streams - resumedByToken,
    turns: sum(books.map(({ turns }) => turns.length)),
    delayP50Ms: quantile(delays, 0.5),
    delayP99Ms: quantile(delays, 0.99),
    longestGapMs: quantile(delays, 1),
    recoveryP50Ms: quantile(recoveries, 0.5),
    longestRecoveryMs: quantile(recoveries, 1),
    faults: crowd.faults,
  };
}
