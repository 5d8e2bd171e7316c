/**
 * Loss: the server's processes and its Redis are killed, and lines break, under a crowd that is told things in order; afterwards
 * every message is looked for at everyone who was to have it. No peer: what is measured against is nothing lost at all.
 */
import { join } from 'node:path';
import { type StormPlan, type StormReport, storm } from '../../test/chaos/storm.ts';
import { bySize, type Context } from '../harness/context.ts';
import { atMost, type CaseResult } from '../harness/result.ts';

type Scale = Omit<StormPlan, 'redis' | 'directory' | 'seed' | 'say'>;

const shared = { nodes: 3, chatPerTrip: 3, heavyBytes: 20_000 };
const NAMES = { one: 'one Redis, append-only', cluster: 'Redis Cluster of six' } as const;

async function run(context: Context, redis: StormPlan['redis'], scale: Scale, round: number): Promise<StormReport> {
  const hooks: (() => Promise<void> | void)[] = [];
  const seed = `${redis} ${round}`;
  const directory = join(context.ground.folder, `chaos-${redis}-${round}`);
  const heavyBytes = redis === 'cluster' ? scale.heavyBytes / 10 : scale.heavyBytes;
  try {
    const say = (line: string): void => context.log(`    ${line}`);
    return await storm(
      { after: (hook) => void hooks.push(hook as () => Promise<void> | void) },
      { ...scale, heavyBytes, redis, seed, directory, say },
    );
  } finally {
    for (const hook of hooks.reverse()) await hook();
  }
}

/** Of all rounds: what counts is added up, the longest is the longest, and of medians the median stands. */
function rows(reports: readonly StormReport[]): [string, string | number][] {
  const sum = (of: (report: StormReport) => number): number => reports.reduce((total, report) => total + of(report), 0);
  const longest = (of: (report: StormReport) => number): number => Math.max(...reports.map(of));
  const middle = (of: (report: StormReport) => number): number =>
    reports.map(of).toSorted((a, b) => a - b)[reports.length >> 1]!;
  const kinds = [...new Set(reports.flatMap(({ struck }) => Object.keys(struck)))];
  return [
    ['clients', longest(({ clients }) => clients)],
    ['seconds under load', sum(({ seconds }) => seconds)],
    ['trips', sum(({ trips }) => trips)],
    ['ordered messages', sum(({ messages }) => messages)],
    ['deliveries', sum(({ deliveries }) => deliveries)],
    ...kinds.map((kind): [string, number] => [kind, sum(({ struck }) => struck[kind] ?? 0)]),
    ['disconnects', sum(({ disconnects }) => disconnects)],
    ['resumed by reconnect token', sum(({ resumedByToken }) => resumedByToken)],
    ['resumed by place', sum(({ resumedByPlace }) => resumedByPlace)],
    ['repeats dropped', sum(({ repeats }) => repeats)],
    ['epochs that changed under a client', sum(({ turns }) => turns)],
    ['told `recovered: false`', sum(({ told }) => told)],
    ['of what they were told of: read by REST', sum(({ readAgain }) => readAgain)],
    ['of what they were told of: gone', sum(({ notKept }) => notKept)],
    ['publication to arrival, p50 ms', middle(({ delayP50Ms }) => delayP50Ms)],
    ['publication to arrival, p99 ms', middle(({ delayP99Ms }) => delayP99Ms)],
    ['publication to arrival, longest ms', longest(({ longestGapMs }) => longestGapMs)],
    ['connection lost to all caught up, p50 ms', middle(({ recoveryP50Ms }) => recoveryP50Ms)],
    ['connection lost to all caught up, longest ms', longest(({ longestRecoveryMs }) => longestRecoveryMs)],
    ['**lost**', sum(({ lost }) => lost.length)],
    ['**out of order**', sum(({ reordered }) => reordered.length)],
  ];
}

export async function chaos(context: Context): Promise<CaseResult> {
  const scale = bySize<Scale>(
    context,
    { ...shared, pairs: 8, bystanders: 43, notesPerS: 8, rounds: 3, pauseMs: 2000, badLineMs: 60 },
    { ...shared, pairs: 6, bystanders: 17, notesPerS: 8, rounds: 1, pauseMs: 2000, badLineMs: 100 },
    { ...shared, nodes: 2, pairs: 1, bystanders: 3, notesPerS: 10, rounds: 1, pauseMs: 50, badLineMs: 200 },
  );
  const kinds: StormPlan['redis'][] = context.size === 'tiny' ? ['one'] : ['one', 'cluster'];
  const reports = new Map<StormPlan['redis'], StormReport[]>(kinds.map((kind) => [kind, []]));
  for (let round = 0; round < context.rounds; round++) {
    for (const kind of kinds) {
      context.log(`  round ${round + 1} of ${context.rounds}: ${NAMES[kind]}`);
      reports.get(kind)!.push(await run(context, kind, scale, round));
    }
  }
  const columns = kinds.map((kind) => rows(reports.get(kind)!));
  const all = [...reports.values()].flat();
  const names = [...new Set(columns.flatMap((column) => column.map(([name]) => name)))];
  return {
    title: 'Loss: nodes, Redis and lines fail',
    method: [
      `${scale.nodes} processes of the server behind a balancer, ${scale.pairs} pairs of rider and driver on one trip after another (REST; each side says ${scale.chatPerTrip} things on it), an operator who follows every trip, ${scale.bystanders} others, and notes for everyone, ${scale.notesPerS} a second each. A third of the people each on WebSocket in JSON, in protobuf and on gRPC, further ones on server-sent events; half come back by reconnect token, half by their own places. One in five stops reading for one to three seconds again and again, with notes of ${scale.heavyBytes} bytes.`,
      'Meanwhile, one after another: a node is killed (kill -9) and started again; Redis is restarted, and killed; on the cluster a master is killed, its replica takes over and it comes back, and slots move to another master while they are used. All along lines are cut, held up in one direction, and closed in one.',
      'Afterwards every note that Redis had taken, every event that the store has of a trip and every chat message that was acknowledged is looked for at each client that was to have it: once by event id, in order. One that is missing is lost, unless the client was told `recovered: false` for its topic. A failover of Redis Cluster may do that, since replication is asynchronous: the new master cannot know what the old one had acknowledged last. Who is told reads the trip by REST, and must have all of it then.',
    ],
    tables: [
      {
        title: '',
        columns: ['', ...kinds.map((kind) => NAMES[kind])],
        rows: names.map((name) => [name, ...columns.map((column) => new Map(column).get(name) ?? '–')]),
      },
    ],
    plots: [],
    claims: [
      atMost('ordered messages lost', all.flatMap(({ lost }) => lost).length, 0),
      atMost('ordered messages out of order', all.flatMap(({ reordered }) => reordered).length, 0),
    ],
    raw: Object.fromEntries(reports),
  };
}
