/** What dispatch stands on: its ports, its neighbours, its settings. */
import type { Clock } from '../../ports/clock.ts';
import type { DispatchMeter } from '../../ports/dispatch-meter.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Offers } from '../../ports/offers.ts';
import type { Positions } from '../../ports/positions.ts';
import type { Publisher } from '../../ports/publisher.ts';
import type { Scheduler } from '../../ports/scheduler.ts';
import type { Drivers } from '../drivers/service.ts';
import type { Ids } from '../ids.ts';
import type { Routing } from '../routing/service.ts';
import type { TelematicsDesk } from '../telematics/service.ts';
import type { Trips } from '../trips/service.ts';
import type { Callers } from './callers.ts';
import type { RingSettings } from './candidates.ts';
import type { DecisionLog } from './decision-log.ts';
import type { DecisionSettings } from './rules.ts';

export interface MatchingSettings {
  retryMs: number;
  offerTtlMs: number;
  maxOffers: number;
  /** Trips that come within it are decided together; 0: each at once. */
  windowMs: number;
  /** Most trips of one decision. */
  windowTrips: number;
  /** Wall time that an assignment may take. */
  decideMs: number;
}

export interface DispatchSettings extends MatchingSettings {
  rings: RingSettings;
  decision: DecisionSettings;
}

export interface DispatchDeps {
  trips: Trips;
  drivers: Drivers;
  positions: Positions;
  offers: Offers;
  scheduler: Scheduler;
  publisher: Publisher;
  clock: Clock;
  ids: Ids;
  routing: Routing;
  telematics: Pick<TelematicsDesk, 'whyStaleIfKnown' | 'shown'>;
  decisions: DecisionLog;
  callers: Callers;
  settings: DispatchSettings;
  meter: DispatchMeter;
  log: Logger;
}

/** An offer outlives its expiry in Redis a little, so that the job that closes it still finds the reservation. */
export const RESERVATION_GRACE_MS = 2000;
