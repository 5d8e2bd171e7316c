/** What all simulated people of one process share. */
import type { City } from '../city/figures.ts';
import type { Ledger } from '../ledger.ts';
import type { Scheduler } from '../scheduler.ts';
import type { ClockSettings, SimClock } from '../sim-clock.ts';
import type { RestClient, ServerAddress } from './rest.ts';
import type { Stats } from './stats.ts';

export interface World {
  seed: number;
  servers: readonly ServerAddress[];
  city: City;
  clock: SimClock;
  scheduler: Scheduler;
  rest: RestClient;
  ledger: Ledger;
  stats: Stats;
}

/** What the parent tells a process of clients when it starts. */
export interface ClientSettings {
  /** Names the process's ledger. */
  name: string;
  seed: number;
  servers: ServerAddress[];
  clock: ClockSettings;
  ledgerDirectory: string;
  /** Drivers: numbers `first` to `first + count - 1`. Riders: at most `count` people. */
  first: number;
  count: number;
  /** Share (0 to 1) of offers that a driver declines, or leaves unanswered. */
  declineShare: number;
  ignoreShare: number;
  /** Share (0 to 1) of riders who cancel before they are picked up. */
  cancelShare: number;
}
