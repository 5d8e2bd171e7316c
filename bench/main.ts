/**
 * Measures the real server against bare libraries and peers in one run, and writes docs/benchmarks.md. Everything is started
 * and ended here; a limit on the whole run ends it whatever happens.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { assignment } from './cases/assignment.ts';
import { grpcBroadcast } from './cases/broadcast.ts';
import { chaos } from './cases/chaos.ts';
import { fanOut } from './cases/fanout.ts';
import { grpcStreams } from './cases/grpc.ts';
import { ingest } from './cases/ingest.ts';
import { idleMemory } from './cases/memory.ts';
import { nearby } from './cases/nearby.ts';
import { twoNodes } from './cases/nodes.ts';
import { restLocation } from './cases/rest.ts';
import { manySessions } from './cases/sessions.ts';
import { manyTopics } from './cases/topics.ts';
import { tripRequests } from './cases/trips.ts';
import type { Context } from './harness/context.ts';
import { stopAll } from './harness/programs.ts';
import type { CaseResult } from './harness/result.ts';
import { type Ground, shareRide, startRedis } from './harness/ride.ts';
import { type CaseName, caseNames, type Options, parseOptions, usage } from './options.ts';
import { type CaseRecord, figure } from './report/markdown.ts';
import { machine, writeReport } from './report/write.ts';

const cases: Record<CaseName, (context: Context) => Promise<CaseResult>> = {
  fanout: fanOut,
  topics: manyTopics,
  nodes: twoNodes,
  grpc: grpcStreams,
  broadcast: grpcBroadcast,
  rest: restLocation,
  trips: tripRequests,
  nearby,
  assignment,
  ingest,
  memory: idleMemory,
  sessions: manySessions,
  chaos,
};

const say = (line: string): void => void process.stderr.write(`${line}\n`);

function options(): Options {
  try {
    const chosen = parseOptions(process.argv.slice(2));
    if (chosen) return chosen;
    process.stdout.write(`${usage()}\n`);
    process.exit(0);
  } catch (error) {
    say(`script/bench: ${(error as Error).message}\n\n${usage()}`);
    process.exit(2);
  }
}

function summarise(result: CaseResult): void {
  for (const { what, ratio, goal, met } of result.claims)
    say(`  ${met ? 'yes' : 'no '}  ${figure(ratio)} (${goal})  ${what}`);
}

/** The folder that is in use: also an aborted run leaves nothing behind. */
let inUse: string | undefined;

/** Redis and a folder; gone with what stands on them. */
async function onGround(profiles: string | undefined, work: (ground: Ground) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-bench-'));
  inUse = folder;
  try {
    const redis = await startRedis(folder);
    await work({ folder, redis, generators: new Map(), ...(profiles ? { profiles } : {}) });
  } finally {
    await stopAll();
    await rm(folder, { recursive: true, force: true });
  }
}

async function run({ cases: names, size, rounds, out, profile, holdMs }: Options): Promise<void> {
  const fresh: Record<string, CaseRecord> = {};
  const runCase = async (name: CaseName, ground: Ground): Promise<void> => {
    say(`${name}:`);
    const loadBefore = loadavg()[0]!;
    const result = await cases[name]({ ground, size, rounds, log: say, ...(holdMs ? { holdMs } : {}) });
    fresh[name] = { at: new Date().toISOString(), size, rounds, machine: machine(), loadBefore, result };
    summarise(result);
  };
  const profiles = (name: string): string | undefined => profile && join(profile, name);
  if (size === 'tiny') {
    await onGround(profiles('all'), async (ground) => {
      shareRide(ground);
      for (const name of names) await runCase(name, ground);
    });
  } else {
    for (const name of names) await onGround(profiles(name), (ground) => runCase(name, ground));
  }
  const kept = await writeReport(out, fresh, caseNames);
  for (const name of kept) say(`${name}: the figures of the last full run stand; a ${size} one does not replace them`);
}

async function abort(reason: string, code: number): Promise<never> {
  say(`script/bench: ${reason}`);
  await stopAll();
  if (inUse) await rm(inUse, { recursive: true, force: true });
  process.exit(code);
}

const chosen = options();
const limit = setTimeout(
  () => void abort(`not done after ${chosen.maxMinutes} minutes`, 1),
  chosen.maxMinutes * 60_000,
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void abort(signal, 130));
try {
  await run(chosen);
} catch (error) {
  await abort(error instanceof Error ? (error.stack ?? error.message) : String(error), 1);
}
clearTimeout(limit);
