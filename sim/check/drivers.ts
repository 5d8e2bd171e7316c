/** One driver, one trip: by the store's times and by the drivers' own ledgers. */
import type { LedgerEntry } from '../ledger.ts';
import { type Report, type StoreHistory, terminalStatuses } from './types.ts';

/** Events after which the driver of before is not (or must not be) on the trip any more. */
const handover = new Set(['driver_cancelled', 'assigned']);

/** By the store's times, no driver has two trips at once. */
export function checkDriversInStore(store: StoreHistory, report: Report): void {
  const byDriver = new Map<string, { trip: string; from: number; to: number }[]>();
  for (const trip of store.trips) {
    const events = store.events.get(trip.id) ?? [];
    for (const [i, { type, driver_id: driver, at }] of events.entries()) {
      if (type !== 'assigned') continue;
      const after = events.slice(i + 1).find((event) => terminalStatuses.has(event.type) || handover.has(event.type));
      if (after?.type === 'assigned')
        report({ rule: 'trip-assigned-twice', trip: trip.id, detail: `again to ${after.driver_id}` });
      if (!driver) {
        report({ rule: 'trip-assigned-to-nobody', trip: trip.id, detail: 'its assigned event names no driver' });
        continue;
      }
      const spans = byDriver.get(driver) ?? [];
      spans.push({ trip: trip.id, from: at, to: after?.at ?? Number.POSITIVE_INFINITY });
      byDriver.set(driver, spans);
    }
  }
  for (const [driver, spans] of byDriver) {
    spans.sort((a, b) => a.from - b.from || a.to - b.to);
    for (let i = 1; i < spans.length; i++) {
      const [before, after] = [spans[i - 1]!, spans[i]!];
      if (after.from < before.to) {
        report({
          rule: 'driver-on-two-trips',
          driver,
          trip: after.trip,
          detail: `assigned while ${before.trip} was not over (store)`,
        });
      }
    }
  }
}

/** By the drivers' own ledgers: one trip at a time, and each completed trip was completed by its one driver. */
export function checkDriverLedgers(entries: readonly LedgerEntry[], store: StoreHistory, report: Report): number {
  const current = new Map<string, string>();
  const completedBy = new Map<string, Set<string>>();
  const wonBy = new Map<string, Set<string>>();
  const add = (map: Map<string, Set<string>>, trip: string, driver: string) =>
    map.set(trip, (map.get(trip) ?? new Set()).add(driver));
  for (const entry of entries) {
    if (entry.k === 'won') {
      const other = current.get(entry.driver);
      if (other && other !== entry.trip) {
        report({
          rule: 'driver-on-two-trips',
          driver: entry.driver,
          trip: entry.trip,
          detail: `got it while on ${other} (its own ledger)`,
        });
      }
      current.set(entry.driver, entry.trip);
      add(wonBy, entry.trip, entry.driver);
    } else if (entry.k === 'free') {
      if (current.get(entry.driver) === entry.trip) current.delete(entry.driver);
    } else if (entry.k === 'stepped' && entry.step === 'completed') add(completedBy, entry.trip, entry.driver);
  }
  for (const trip of store.trips) {
    const completed = [...(completedBy.get(trip.id) ?? [])];
    if (trip.status !== 'completed') {
      if (completed.length > 0) {
        report({
          rule: 'trip-completed-by',
          trip: trip.id,
          driver: completed[0],
          detail: `was told it is completed; the store says ${trip.status}`,
        });
      }
      continue;
    }
    if (completed.length !== 1 || completed[0] !== trip.driver_id) {
      const who = completed.join(', ') || 'nobody';
      report({
        rule: 'trip-completed-by',
        trip: trip.id,
        detail: `the store says ${trip.driver_id}; the drivers' ledgers say ${who}`,
      });
    }
    const winners = [...(wonBy.get(trip.id) ?? [])];
    if (winners.length !== 1 || winners[0] !== trip.driver_id) {
      report({
        rule: 'trip-won-by',
        trip: trip.id,
        detail: `the store says ${trip.driver_id}; won by ${winners.join(', ') || 'nobody'}`,
      });
    }
  }
  return new Set([...wonBy.values()].flatMap((drivers) => [...drivers])).size;
}
