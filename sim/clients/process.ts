/** The frame of every client process: settings and trips come from the parent, reports go to it, and it ends with the parent. */
import { loadCity } from '../city/figures.ts';
import { openLedger } from '../ledger.ts';
import { createDraw } from '../random.ts';
import { Scheduler } from '../scheduler.ts';
import { createSimClock } from '../sim-clock.ts';
import type { Trip } from '../trips-csv.ts';
import { RestClient } from './rest.ts';
import { Stats, type StatsReport } from './stats.ts';
import type { ClientSettings, World } from './world.ts';

export type FromParent =
  | { kind: 'start'; settings: ClientSettings }
  | { kind: 'trips'; trips: Trip[] }
  /** All trips were sent: begin. */
  | { kind: 'go' }
  | { kind: 'stop' };

export type FromClient =
  | { kind: 'stats'; stats: StatsReport }
  | { kind: 'done' }
  | { kind: 'failed'; reason: string }
  | { kind: 'stopped'; stats: StatsReport };

/** What a kind of client does with its process. */
export interface Crew {
  /** All trips are known. Resolves when there is nothing more to do by itself. */
  run(trips: Trip[]): Promise<void>;
  stop(): void;
}

const REPORT_EVERY_MS = 1_000;

const tell = (message: FromClient) => {
  if (process.connected) process.send!(message);
};

/** Serves the parent until it says stop. */
export function serveParent(create: (world: World, settings: ClientSettings) => Crew): void {
  const trips: Trip[] = [];
  let crew: Crew | undefined;
  let world: World | undefined;

  const start = (settings: ClientSettings) => {
    const { seed, servers, name } = settings;
    world = {
      seed,
      servers,
      city: loadCity(),
      clock: createSimClock(settings.clock),
      scheduler: new Scheduler(),
      rest: new RestClient(servers, createDraw(seed, 'rest', name)),
      ledger: openLedger(settings.ledgerDirectory, name),
      stats: new Stats(),
    };
    crew = create(world, settings);
    report(world);
  };
  const report = (to: World) => {
    to.scheduler.after(REPORT_EVERY_MS, () => {
      to.stats.most('worstTimerDelayMs', to.scheduler.worstDelayMs);
      to.ledger.flush();
      tell({ kind: 'stats', stats: to.stats.report() });
      report(to);
    });
  };
  const stop = () => {
    crew?.stop();
    world?.scheduler.stop();
    world?.rest.close();
    world?.ledger.close();
    if (world) tell({ kind: 'stopped', stats: world.stats.report() });
    process.disconnect?.();
  };

  process.on('message', (message: FromParent) => {
    if (message.kind === 'start') start(message.settings);
    else if (message.kind === 'trips') for (const trip of message.trips) trips.push(trip);
    else if (message.kind === 'go') {
      crew!.run(trips).then(
        () => tell({ kind: 'done' }),
        (error: unknown) =>
          tell({ kind: 'failed', reason: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
      );
    } else stop();
  });
  // The parent ends its children; a Ctrl-C in the terminal reaches them too, and must not come first.
  process.on('SIGINT', () => {});
  process.on('disconnect', () => process.exit());
}
