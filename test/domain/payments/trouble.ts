/** A provider of payments that fails as a test says, and the rides that are paid for there; for the tests of what is given up. */
import type { Test } from 'tap';
import type { PaymentStep } from '../../../src/domain/payments/rules.ts';
import type { Ports } from '../../../src/domain/services.ts';
import type { Trip } from '../../../src/domain/trips/trip.ts';
import { RideError } from '../../../src/errors.ts';
import type { HoldRequest, Payments } from '../../../src/ports/payments.ts';
import { until } from '../../until.ts';
import { type ManualClock, manualClock, onDuty, request, type Stack, shared, stack } from '../stack.ts';

export const ATTEMPTS = 3;
export const REPAIRS = 2;
const patience = { attempts: ATTEMPTS, repairs: REPAIRS, retryMs: 1000, retryMaxMs: 4000 };

/** A provider whose calls fail as the test says; it counts them by step. */
function troubled() {
  const away = new Set<PaymentStep>();
  const calls: Record<string, number> = { hold: 0, raise: 0, capture: 0, release: 0 };
  /** Fails before the real one is asked, or after it was and did it. */
  let isDone = false;
  const holds = new Set<string>();
  const charged: HoldRequest[] = [];
  const run = async <T>(step: PaymentStep, real: () => Promise<T>): Promise<T> => {
    calls[step] = (calls[step] ?? 0) + 1;
    if (away.has(step) && !isDone) throw new RideError('RIDE_UNAVAILABLE', 'away');
    const answer = await real();
    if (away.has(step)) throw new RideError('RIDE_UNAVAILABLE', 'the answer was lost');
    return answer;
  };
  return {
    away,
    calls,
    holds,
    charged,
    /** From now on what fails has been done. */
    loseAnswers() {
      isDone = true;
    },
    wrap: (real: Payments): Payments => ({
      hold: (asked) =>
        run('hold', async () => {
          const outcome = await real.hold(asked);
          if ('holdId' in outcome) holds.add(outcome.holdId);
          return outcome;
        }),
      raise: (key, hold, minor) => run('raise', () => real.raise(key, hold, minor)),
      capture: (key, hold, minor) => run('capture', () => real.capture(key, hold, minor)),
      charge: (asked) => {
        charged.push(asked);
        return run('charge', async () => {
          if (asked.riderId === 'expired-poor-2' && asked.key.endsWith('.2')) return { chargeId: 'paid after all' };
          return real.charge(asked);
        });
      },
      release: (key, hold) => run('release', () => real.release(key, hold)),
      openHolds: real.openHolds,
    }),
  };
}

export async function place(t: Test) {
  const clock = manualClock();
  const trouble = troubled();
  const where = await shared(t, clock);
  const options = {
    payments: patience,
    wrapPayments: trouble.wrap,
    // Here reconciliation alone comes back to a step: work of the queues would come by wall time.
    wrapPorts: (ports: Ports): Ports => ({
      ...ports,
      scheduler: {
        ...ports.scheduler,
        schedule: async (...work) => (work[0] === 'payment_step' ? undefined : ports.scheduler.schedule(...work)),
      },
    }),
  };
  return { clock, trouble, where, options, s: await stack(t, where, options) };
}

export async function assigned(s: Stack, riderId: string, driverId: string): Promise<Trip> {
  await onDuty(s, driverId);
  const { id } = await request(s, riderId);
  await until(async () => (await s.trips.find(id))?.status === 'offered', 'an offer');
  return s.dispatch.accept(id, (await s.trips.find(id))!.offer!.id, driverId);
}

/** @param waits what happens while the driver waits for the rider */
export async function driven(s: Stack, { id, driverId }: Trip, waits: () => void = () => {}): Promise<void> {
  await s.trips.command(id, { type: 'arrive', driverId: driverId! });
  waits();
  for (const type of ['start', 'complete'] as const) await s.trips.command(id, { type, driverId: driverId! });
}

export const paid = async (s: Stack, { id }: Trip) => (await s.payments.find(id))!;
export const openHolds = async (s: Stack) => (await s.provider.openHolds(Number.MAX_SAFE_INTEGER, 100)).items;

/** Reconciliation recurs, time passes, until the payment is as it should be. */
export async function becomes(s: Stack, clock: ManualClock, trip: Trip, status: string): Promise<void> {
  await until(async () => {
    clock.add(1000);
    await s.payments.reconcile(600_000);
    await s.idle();
    return (await s.payments.find(trip.id))?.status === status;
  }, `a payment that is ${status}`);
}

export async function holding(s: Stack, clock: ManualClock): Promise<Trip> {
  const trip = await assigned(s, 'rider', 'driver');
  await becomes(s, clock, trip, 'held');
  return trip;
}
