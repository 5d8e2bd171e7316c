/** The domain over its ports: the use cases, and the background work that calls them. */
import { latLngToCell } from 'h3-js';
import { createServices, type DomainServices } from '../domain/services.ts';
import { checkInExpiryJob } from '../jobs/check-in-expiry.ts';
import { dispatchLookJob } from '../jobs/dispatch-look.ts';
import { dispatchWindowJob } from '../jobs/dispatch-window.ts';
import { earlierJobs } from '../jobs/earlier.ts';
import { offerExpiryJob } from '../jobs/offer-expiry.ts';
import { paymentStepJob, reconcileJob } from '../jobs/payments.ts';
import { surgeJob } from '../jobs/surge.ts';
import { sweepJob } from '../jobs/sweep.ts';
import { watchSweepJob } from '../jobs/watch-sweep.ts';
import type { EventSink } from '../ports/event-sink.ts';
import type { Logger } from '../ports/logger.ts';
import { createPublisher } from '../realtime/publisher.ts';
import { domainSettings } from '../settings.ts';
import type { NodeConfig, Outside } from './outside.ts';

export function composeDomain(
  config: NodeConfig,
  outside: Outside & { sink?: EventSink | undefined },
  log: Logger,
): DomainServices {
  const { bus, lamport, nodeId, queues, meter } = outside;
  return createServices(
    {
      ...outside,
      scheduler: queues,
      publisher: createPublisher({ bus, lamport, nodeId }),
      log,
      zoneOf: (lat, lng) => latLngToCell(lat, lng, config.zoneResolution),
      onLocationsKept: meter.locationsKept,
      onWatched: meter.watched,
    },
    domainSettings(config),
  );
}

/** Starts the queues with every job of the server. */
export async function startJobs(
  config: NodeConfig,
  { queues, clock, positions, store, domainMeter }: Outside,
  {
    dispatch,
    decisions,
    departures,
    relays,
    surge,
    payments,
    collections,
    checkIns,
    geofences,
    watch,
    telematics,
  }: DomainServices,
  log: Logger,
): Promise<void> {
  const sweep = sweepJob({
    relays,
    dispatch,
    departures,
    decisions,
    trips: collections.trips,
    keys: [collections.idempotency, collections.calls],
    clock,
    everyMs: config.sweepInterval,
    ageMs: config.sweepAge,
    matchRetryMs: config.matchRetry,
    tripMaxDurationMs: config.tripMaxDuration,
    idempotencyTtlMs: config.idempotencyTtl,
    decisionTtlMs: config.dispatchLogTtl,
    meter: domainMeter,
    log,
  });
  const watchSweep = watchSweepJob({
    checkIns,
    geofences,
    watch,
    tracks: store.tracks,
    trips: collections.trips,
    telematics,
    positions,
    clock,
    everyMs: config.watchSweepInterval,
    silenceMs: 2 * config.signalLost,
    retentionMs: config.trackRetention,
    log,
  });
  const jobs = [
    offerExpiryJob(dispatch),
    dispatchWindowJob(dispatch),
    dispatchLookJob(dispatch),
    checkInExpiryJob(checkIns),
    ...earlierJobs(dispatch),
  ];
  const recurring = [sweep, watchSweep, surgeJob(surge, config.surgeInterval)];
  if (!payments) return queues.start(jobs, recurring);
  const { paymentsReconcileInterval, paymentsReconcileAge } = config;
  await queues.start(
    [...jobs, paymentStepJob(payments)],
    [...recurring, reconcileJob(payments, paymentsReconcileInterval, paymentsReconcileAge, log)],
  );
}

/** What people have to look at: the same from whichever node is asked. */
export function domainGauges(
  { gauge, clock }: Pick<Outside, 'gauge' | 'clock'>,
  { payments, relays }: Pick<DomainServices, 'payments' | 'relays'>,
  log: Logger,
): void {
  const shared = (name: string, help: string, count: () => Promise<number>): void => {
    let last = 0;
    const read = async (): Promise<number> => {
      try {
        last = await count();
      } catch (error) {
        // The other metrics must be there most of all when the store is away; that it is, readiness says.
        log.warn({ err: error, metric: name }, 'not read of the store; the metric tells what it was last');
      }
      return last;
    };
    gauge(name, help, read, true);
  };
  shared(
    'ride_payments_failed',
    'Payments whose step was given up, over all nodes',
    async () => (await payments?.desk.countFailed()) ?? 0,
  );
  shared('ride_outbox_oldest_age_seconds', 'Age of the oldest event that is not told yet, over all nodes', async () => {
    const now = clock.now();
    const dates = await Promise.all(relays.map((relay) => relay.oldestAt()));
    const oldest = Math.min(now, ...dates.filter((at) => at !== null));
    return clock.toWallMs(now - oldest) / 1000;
  });
}
