/** Rows, trips and the store's own histories. */
import { type Of, type Report, type StoreHistory, terminalStatuses } from './types.ts';

/** Every good row made exactly one trip, every trip comes from exactly one row, and every trip has ended. */
export function checkRequests(
  good: readonly Of<'good'>[],
  requested: readonly Of<'requested'>[],
  failed: readonly Of<'request_failed'>[],
  store: StoreHistory,
  report: Report,
): void {
  const tripsByRow = groupSets(requested, (entry) => [entry.row, entry.trip]);
  const rowsByTrip = groupSets(requested, (entry) => [entry.trip, entry.row]);
  const riderByTrip = new Map(requested.map((entry) => [entry.trip, entry.rider]));
  const codeByRow = new Map(failed.map((entry) => [entry.row, entry.code]));
  const stored = new Map(store.trips.map((trip) => [trip.id, trip]));
  for (const { row } of good) {
    const trips = [...(tripsByRow.get(row) ?? [])];
    if (trips.length === 0) {
      const code = codeByRow.get(row);
      report({
        rule: 'row-not-requested',
        row,
        detail: code ? `the server refused it: ${code}` : 'no answer names a trip for it',
      });
    }
    if (trips.length > 1)
      report({ rule: 'row-doubled', row, detail: `it made ${trips.length} trips: ${trips.join(', ')}` });
  }
  const goodRows = new Set(good.map((entry) => entry.row));
  for (const row of tripsByRow.keys()) {
    if (!goodRows.has(row))
      report({ rule: 'row-unknown', row, detail: 'it was requested, though it is not among the good rows' });
  }
  for (const [trip, rows] of rowsByTrip) {
    if (rows.size > 1) report({ rule: 'trip-shared', trip, detail: `answered to the rows ${[...rows].join(', ')}` });
    if (!stored.has(trip))
      report({
        rule: 'trip-lost',
        trip,
        row: [...rows][0],
        detail: 'a rider was told of it; the store does not have it',
      });
  }
  if (stored.size !== store.trips.length)
    report({ rule: 'store-list', detail: 'the list of trips names a trip twice' });
  for (const trip of stored.values()) {
    if (!rowsByTrip.has(trip.id))
      report({ rule: 'trip-unknown', trip: trip.id, detail: 'the store has it; no rider was told of it' });
    else if (riderByTrip.get(trip.id) !== trip.rider_id) {
      report({
        rule: 'trip-rider',
        trip: trip.id,
        detail: `belongs to ${trip.rider_id}, requested by ${riderByTrip.get(trip.id)}`,
      });
    }
    if (!terminalStatuses.has(trip.status))
      report({ rule: 'trip-open', trip: trip.id, detail: `is still ${trip.status}` });
  }
}

/** The store's own histories count from 1 without a gap, never repeat an id, and end as the trip did. */
export function checkHistories(store: StoreHistory, report: Report): void {
  const seen = new Map<string, string>();
  for (const trip of store.trips) {
    const events = store.events.get(trip.id) ?? [];
    events.forEach((event, i) => {
      if (event.seq !== i + 1) {
        report({ rule: 'history-gap', trip: trip.id, event: event.id, detail: `seq ${event.seq} at place ${i + 1}` });
      }
      const other = seen.get(event.id);
      if (other)
        report({ rule: 'history-id', trip: trip.id, event: event.id, detail: `the id is also used in ${other}` });
      seen.set(event.id, trip.id);
    });
    if (events.length !== trip.event_seq) {
      report({
        rule: 'history-length',
        trip: trip.id,
        detail: `${events.length} events, but event_seq is ${trip.event_seq}`,
      });
    }
    if (terminalStatuses.has(trip.status) && events.at(-1)?.type !== trip.status) {
      report({
        rule: 'history-end',
        trip: trip.id,
        detail: `is ${trip.status}, but its last event is ${events.at(-1)?.type}`,
      });
    }
  }
}

function groupSets<T, K, V>(items: readonly T[], of: (item: T) => [K, V]): Map<K, Set<V>> {
  const groups = new Map<K, Set<V>>();
  for (const item of items) {
    const [key, value] = of(item);
    const group = groups.get(key);
    if (group) group.add(value);
    else groups.set(key, new Set([value]));
  }
  return groups;
}
