/**
 * One replay from start to verdict: servers up, fleets of clients connected, the city lived through, everything ended, and
 * the clients' ledgers held against the store. demo.ts is its face on the command line; the tests run it too.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Board } from './board.ts';
import type { CheckResult } from './check/types.ts';
import { check } from './check.ts';
import type { City } from './city/figures.ts';
import { RestClient, type ServerAddress } from './clients/rest.ts';
import type { ClientSettings } from './clients/world.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { type Crew, startCrew } from './crews.ts';
import { openLedger, readLedgers } from './ledger.ts';
import type { DemoOptions } from './options.ts';
import type { Plan } from './plan.ts';
import { createDraw } from './random.ts';
import { replaySettings } from './server-settings.ts';
import { type ClockSettings, createSimClock, type SimClock } from './sim-clock.ts';
import { readStore } from './store-reader.ts';

/** What the caller may want to know while it runs. */
export interface ReplayEvents {
  onServing(servers: readonly ServerAddress[]): void;
  onRunning(board: Board, clock: SimClock): void;
  /** The last trip has ended; the check begins. */
  onChecking(): void;
  onNote(text: string): void;
}

export interface ReplayResult {
  check: CheckResult;
  board: Board;
  /** From the first trip due to the last one ended, wall milliseconds. */
  tookMs: number;
  /** Folder of store, logs and ledgers; gone unless it was to be kept or something differs. */
  directory: string;
  kept: boolean;
}

/** Of the wall, for the servers to start and the drivers to come online before the first trip is due. */
const LEAD_A_SERVER_MS = 1_750;
const LEAD_A_DRIVER_MS = 6;
const DRIVERS_A_PROCESS = 1_500;
/** Nothing at all happens to any trip for this long: it is stuck, and the check will say what. */
const STUCK_MS = 60_000;
const LONGEST_SILENCE_DOMAIN_MS = 4 * 3_600_000;
const POLL_MS = 250;
const DRIVERS_SETTLE_MS = 15_000;

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export async function replay(
  options: DemoOptions,
  city: City,
  plan: Plan,
  events: ReplayEvents,
  signal: AbortSignal,
): Promise<ReplayResult> {
  const directory = mkdtempSync(join(tmpdir(), 'ridestream-demo-'));
  const ledgers = join(directory, 'ledgers');
  mkdirSync(ledgers);
  writePlan(ledgers, plan);
  const leadMs = LEAD_A_SERVER_MS * (options.servers + 1) + LEAD_A_DRIVER_MS * plan.drivers;
  const clock: ClockSettings = {
    startMs: plan.fromMs - leadMs * options.speed,
    anchorMs: Date.now(),
    speed: options.speed,
  };
  const board = new Board({ trips: plan.trips.length, refused: plan.refusals.length, drivers: plan.drivers });
  let cluster: Cluster | undefined;
  let crews: Crew[] = [];
  let clean = false;
  try {
    cluster = await startCluster(
      options,
      { ...replaySettings(clock), CITY: city.figures.city, MAP_TIME_ZONE: city.figures.timeZone },
      directory,
    );
    signal.throwIfAborted();
    events.onServing(cluster.addresses);
    const begunMs = Date.now() + Math.max(0, clock.anchorMs + leadMs - Date.now());
    crews = startCrews(options, plan, { clock, ledgers, directory, servers: cluster.addresses, board });
    events.onRunning(board, createSimClock(clock));
    await live(options, plan, cluster, crews, board, events, signal);
    const tookMs = Date.now() - begunMs;
    await Promise.all(crews.map((crew) => crew.stop()));
    events.onChecking();
    const rest = new RestClient(cluster.addresses, createDraw(options.seed, 'check'));
    const result = check(readLedgers(ledgers), await readStore(rest));
    rest.close();
    clean = result.differences.length === 0;
    return { check: result, board, tookMs, directory, kept: options.keep || !clean };
  } catch (error) {
    if (!signal.aborted) events.onNote(`logs and ledgers are in ${directory}`);
    throw error;
  } finally {
    for (const crew of crews) crew.kill();
    await cluster?.stop(options.keep);
    if (clean ? !options.keep : signal.aborted) rmSync(directory, { recursive: true, force: true });
  }
}

/** What should happen, as the first ledger. */
function writePlan(directory: string, { trips, refusals }: Plan): void {
  const ledger = openLedger(directory, 'plan');
  for (const { row } of trips) ledger.write({ k: 'good', row });
  for (const refusal of refusals) ledger.write({ k: 'refused', ...refusal });
  ledger.close();
}

interface CrewContext {
  clock: ClockSettings;
  ledgers: string;
  directory: string;
  servers: ServerAddress[];
  board: Board;
}

function startCrews(options: DemoOptions, plan: Plan, context: CrewContext): Crew[] {
  const common = {
    seed: options.seed,
    servers: context.servers,
    clock: context.clock,
    ledgerDirectory: context.ledgers,
    declineShare: 0.03,
    ignoreShare: 0.01,
    // The people of a file took their taxis.
    cancelShare: options.trips ? 0 : 0.03,
  };
  const start = (kind: 'drivers' | 'riders', settings: ClientSettings) =>
    startCrew({
      kind,
      settings,
      trips: plan.trips,
      logDirectory: context.directory,
      onStats: (stats) => context.board.take(settings.name, stats),
    });
  const crews: Crew[] = [];
  for (let first = 0; first < plan.drivers; first += DRIVERS_A_PROCESS) {
    const count = Math.min(DRIVERS_A_PROCESS, plan.drivers - first);
    crews.push(start('drivers', { ...common, name: `drivers-${crews.length + 1}`, first: first + 1, count }));
  }
  crews.push(start('riders', { ...common, name: 'riders', first: 1, count: options.riders }));
  return crews;
}

/** Until every rider's trip has ended and every driver is free; kills a server on the way when that was asked for. */
async function live(
  options: DemoOptions,
  plan: Plan,
  cluster: Cluster,
  crews: readonly Crew[],
  board: Board,
  events: ReplayEvents,
  signal: AbortSignal,
): Promise<void> {
  const riders = crews.at(-1)!;
  let over = false;
  // A crew of drivers is done when all of them are online; only its end is news.
  const failed = Promise.all(crews.slice(0, -1).map((crew) => crew.done)).then(() => new Promise<never>(() => {}));
  const finished = Promise.race([riders.done, failed]).finally(() => {
    over = true;
  });
  finished.catch(() => {});
  let killed = false;
  let pulse = { value: -1, atMs: Date.now() };
  const stuckMs = Math.max(STUCK_MS, LONGEST_SILENCE_DOMAIN_MS / options.speed);
  while (!over) {
    await Promise.race([finished, wait(POLL_MS)]);
    signal.throwIfAborted();
    const dead = cluster.unexpectedEnd();
    if (dead) throw new Error(dead);
    if (options.killAt !== undefined && !killed && board.ended >= options.killAt * plan.trips.length) {
      killed = true;
      events.onNote(await cluster.killOne());
    }
    if (board.pulse !== pulse.value) pulse = { value: board.pulse, atMs: Date.now() };
    if (Date.now() - pulse.atMs > stuckMs) {
      events.onNote(`nothing has happened for ${Math.round(stuckMs / 1000)} s: going on to the check`);
      return;
    }
  }
  await finished;
  const deadline = Date.now() + DRIVERS_SETTLE_MS;
  while (board.count('driversOnTrip') > 0 && Date.now() < deadline) await wait(POLL_MS);
}
