/**
 * The judge of a replay: holds what the clients wrote down (ledger.ts) against what the store remembers. It knows the
 * contract and nothing of the server's code. Every difference is reported with its ids; none means that no trip was lost,
 * no driver was on two trips, and each rider got each event of its trip once and in order.
 */
import { checkDelivery } from './check/delivery.ts';
import { checkDriverLedgers, checkDriversInStore } from './check/drivers.ts';
import { checkHistories, checkRequests } from './check/requests.ts';
import type { CheckResult, Difference, Of, Report, StoreHistory, StoreTrip } from './check/types.ts';
import { RestClient } from './clients/rest.ts';
import { type LedgerEntry, readLedgers } from './ledger.ts';
import { readStore } from './store-reader.ts';

export function check(entries: readonly LedgerEntry[], store: StoreHistory): CheckResult {
  const differences: Difference[] = [];
  const report: Report = (difference) => differences.push(difference);
  const of = <K extends LedgerEntry['k']>(k: K) => entries.filter((entry): entry is Of<K> => entry.k === k);

  checkRequests(of('good'), of('requested'), of('request_failed'), store, report);
  checkHistories(store, report);
  const received = checkDelivery(of('event'), store, report);
  checkDriversInStore(store, report);
  const drivers = checkDriverLedgers(entries, store, report);

  const ended = (status: string) => store.trips.filter((trip) => trip.status === status);
  const cancelledBy = (who: (trip: StoreTrip, actor: string) => boolean) =>
    ended('cancelled').filter((trip) => who(trip, store.events.get(trip.id)?.at(-1)?.actor_id ?? '')).length;
  const byRider = cancelledBy((trip, actor) => actor === trip.rider_id);
  const byDriver = cancelledBy((trip, actor) => actor !== trip.rider_id && actor === trip.driver_id);
  return {
    differences,
    counts: {
      goodRows: of('good').length,
      refusedRows: of('refused').length,
      trips: store.trips.length,
      completed: ended('completed').length,
      cancelledByRider: byRider,
      cancelledByDriver: byDriver,
      cancelledByOthers: ended('cancelled').length - byRider - byDriver,
      expired: ended('expired').length,
      eventsInStore: store.trips.reduce((sum, trip) => sum + (store.events.get(trip.id)?.length ?? 0), 0),
      eventsReceived: received.events,
      repeatsBeforeDedupe: received.repeats,
      driversWithTrips: drivers,
    },
  };
}

/** By hand, on what `script/demo --keep` left: node sim/check.ts LEDGERS_FOLDER HOST:PORT of a server on that store. */
async function main([directory, http]: string[]): Promise<number> {
  if (!directory || !http) {
    console.error('usage: node sim/check.ts LEDGERS_FOLDER HOST:PORT');
    return 2;
  }
  const rest = new RestClient([{ http, grpc: '' }], Math.random);
  const { differences, counts } = check(readLedgers(directory), await readStore(rest));
  rest.close();
  console.log(JSON.stringify({ counts, differences }, null, 2));
  return differences.length === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
