/** What reached the riders' sockets against what the store remembers. */
import type { Of, Report, StoreEvent, StoreHistory } from './types.ts';

/** After dropping repeats by event id, each rider got each event of the history exactly once and in the order of seq. */
export function checkDelivery(
  entries: readonly Of<'event'>[],
  store: StoreHistory,
  report: Report,
): { events: number; repeats: number } {
  const byTrip = new Map<string, Of<'event'>[]>();
  for (const entry of entries) {
    if (entry.role !== 'rider' || !entry.topic.startsWith('trip:')) continue;
    const list = byTrip.get(entry.trip);
    if (list) list.push(entry);
    else byTrip.set(entry.trip, [entry]);
  }
  const total = { events: 0, repeats: 0 };
  for (const trip of store.trips) {
    const arrived = byTrip.get(trip.id) ?? [];
    byTrip.delete(trip.id);
    const unique = dedupe(arrived, report);
    total.events += unique.length;
    total.repeats += arrived.length - unique.length;
    compareDelivery(trip.id, unique, store.events.get(trip.id) ?? [], report);
  }
  for (const [trip, arrived] of byTrip) {
    report({
      rule: 'event-unknown-trip',
      trip,
      event: arrived[0]!.id,
      detail: `${arrived.length} events of a trip that the store does not have`,
    });
  }
  return total;
}

function dedupe(arrived: readonly Of<'event'>[], report: Report): Of<'event'>[] {
  const byId = new Map<string, Of<'event'>>();
  for (const entry of arrived) {
    const first = byId.get(entry.id);
    if (!first) byId.set(entry.id, entry);
    else if (first.seq !== entry.seq || first.type !== entry.type) {
      const detail = `came as ${first.type} (seq ${first.seq}), then as ${entry.type} (seq ${entry.seq})`;
      report({ rule: 'event-altered', trip: entry.trip, event: entry.id, detail });
    }
  }
  return [...byId.values()];
}

function compareDelivery(
  trip: string,
  unique: readonly Of<'event'>[],
  history: readonly StoreEvent[],
  report: Report,
): void {
  const byId = new Map(history.map((event) => [event.id, event]));
  const got = new Set<string>();
  const idBySeq = new Map<number, string>();
  let highest = 0;
  for (const { id, seq, type } of unique) {
    const stored = byId.get(id);
    if (!stored)
      report({ rule: 'event-unknown', trip, event: id, detail: `${type} (seq ${seq}) is not in the history` });
    else if (stored.seq !== seq || stored.type !== type) {
      report({
        rule: 'event-altered',
        trip,
        event: id,
        detail: `${type} (seq ${seq}); stored as ${stored.type} (seq ${stored.seq})`,
      });
    }
    const twin = idBySeq.get(seq);
    if (twin)
      report({ rule: 'event-doubled', trip, event: id, detail: `seq ${seq} arrived before under the id ${twin}` });
    else if (seq < highest)
      report({ rule: 'event-order', trip, event: id, detail: `seq ${seq} arrived after seq ${highest}` });
    idBySeq.set(seq, id);
    highest = Math.max(highest, seq);
    got.add(id);
  }
  for (const event of history) {
    if (!got.has(event.id)) {
      report({
        rule: 'event-lost',
        trip,
        event: event.id,
        detail: `${event.type} (seq ${event.seq}) never reached the rider's socket`,
      });
    }
  }
}
