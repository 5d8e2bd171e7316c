/** Quotes, surge and payments as Prometheus reads them: what an operator has alerts on is late steps, failed tries and orphaned holds. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { MoneyMeter } from '../ports/money-meter.ts';
import { PlainHistogram } from './plain-histogram.ts';

/** A provider may take seconds. */
const STEP_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const BOARD_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export function createMoneyMeter(registry: Registry): MoneyMeter {
  const registers = [registry];
  const counter = (name: string, help: string, ...labelNames: string[]) =>
    new Counter({ name, help, labelNames, registers });
  const quotes = counter(
    'ride_quotes_total',
    'Quotes made and booked, and tries to book one used or expired',
    'outcome',
  );
  // Of several workers the one that computed the last board; all compute the same.
  const gauge = (name: string, help: string) => new Gauge({ name, help, aggregator: 'max', registers });
  const surgeZones = gauge('ride_surge_zones', 'Zones with a surge, as this node last computed the board');
  const highest = gauge('ride_surge_multiplier_max', 'Highest surge factor, as this node last computed the board');
  const computedAt = gauge(
    'ride_surge_computed_timestamp_seconds',
    'When this node last computed the surge board, Unix time',
  );
  const boards = new PlainHistogram({
    name: 'ride_surge_compute_seconds',
    help: 'Counting supply and demand and computing the surge board',
    labelNames: [],
    buckets: BOARD_BUCKETS_S,
    registers,
  });
  const steps = new PlainHistogram({
    name: 'ride_payment_step_seconds',
    help: 'Tries of a step of a payment: hold, raise, capture, release, settle',
    labelNames: ['step', 'outcome'],
    buckets: STEP_BUCKETS_S,
    registers,
  });
  const events = counter('ride_payment_events_total', 'What became of payments', 'type');
  const captured = counter('ride_payment_captured_minor_total', 'Captured, minor units', 'currency');
  const unpaid = counter('ride_payment_unpaid_minor_total', 'Owed beyond what was held, minor units', 'currency');
  const reconciled = counter(
    'ride_payment_reconciled_total',
    'Overdue steps taken, payments told of the end of their trip, holds released that nobody wanted',
    'what',
  );
  return {
    stopwatch() {
      const startedAt = performance.now();
      return () => (performance.now() - startedAt) / 1000;
    },
    quote: (outcome) => quotes.inc({ outcome }),
    surge(zones, highestPermille, seconds) {
      surgeZones.set(zones);
      highest.set(highestPermille / 1000);
      computedAt.setToCurrentTime();
      boards.observe({}, seconds);
    },
    step: (step, outcome, seconds) => steps.observe({ step, outcome }, seconds),
    paymentEvent: (type) => events.inc({ type }),
    captured: (currency, amountMinor) => captured.inc({ currency }, amountMinor),
    unpaid: (currency, amountMinor) => unpaid.inc({ currency }, amountMinor),
    reconciled: (what, count) => reconciled.inc({ what }, count),
  };
}
