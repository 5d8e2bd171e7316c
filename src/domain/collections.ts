/** The collections of documents, each with its indexes; names are those of the documents. */
import type { Store } from '../ports/store.ts';
import { bookingCollection } from './bookings/booking.ts';
import { chatCollection } from './chat/service.ts';
import { departureIndexes } from './departures/departure.ts';
import {
  type DispatchDecision,
  decisionCollection,
  type TripDecision,
  tripDecisionCollection,
} from './dispatch/decision.ts';
import { driverCollection } from './drivers/driver.ts';
import { callCollection } from './idempotency/calls.ts';
import { idempotencyCollection } from './idempotency/service.ts';
import { ledgerCollection, paymentCollection } from './payments/payment.ts';
import { ratingCollection } from './ratings/rating.ts';
import { trafficCollection } from './routing/traffic.ts';
import { sosCollection, sosDeskCollection } from './sos/service.ts';
import { tripCollection } from './trips/trip.ts';

export function openCollections(store: Store) {
  return {
    trips: store.collection({ ...tripCollection, indexes: [...tripCollection.indexes, ...departureIndexes] }),
    bookings: store.collection(bookingCollection),
    drivers: store.collection(driverCollection),
    idempotency: store.collection(idempotencyCollection),
    calls: store.collection(callCollection),
    decisions: store.collection<DispatchDecision>(decisionCollection),
    tripDecisions: store.collection<TripDecision>(tripDecisionCollection),
    chat: store.collection(chatCollection),
    alerts: store.collection(sosCollection),
    desks: store.collection(sosDeskCollection),
    payments: store.collection(paymentCollection),
    ledger: store.collection(ledgerCollection),
    ratings: store.collection(ratingCollection),
    traffic: store.collection(trafficCollection),
  };
}
