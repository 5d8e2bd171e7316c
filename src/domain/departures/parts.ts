/** Departures and the seats on them, put together over the collection that holds trips of every kind. */
import type { Clock } from '../../ports/clock.ts';
import type { DomainMeter } from '../../ports/domain-meter.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Publisher } from '../../ports/publisher.ts';
import type { Collection } from '../../ports/store.ts';
import type { See } from '../arrivals/service.ts';
import type { BookingDocument } from '../bookings/booking.ts';
import { createProjection } from '../bookings/projection.ts';
import { createBookings } from '../bookings/service.ts';
import type { Dispatch } from '../dispatch/service.ts';
import type { Drivers } from '../drivers/service.ts';
import type { Idempotency } from '../idempotency/service.ts';
import type { Ids } from '../ids.ts';
import type { Relay } from '../outbox/relay.ts';
import type { Routing } from '../routing/service.ts';
import type { Trip } from '../trips/trip.ts';
import { createChanges } from './changes.ts';
import type { Departure } from './departure.ts';
import { createReactions } from './reactions.ts';
import { createDepartures, type DepartureSettings } from './service.ts';

export interface ScheduledDeps {
  collections: {
    trips: Collection<Trip>;
    bookings: Collection<BookingDocument>;
  };
  idempotency: Idempotency;
  drivers: Drivers;
  dispatch: Pick<Dispatch, 'claim' | 'busy' | 'releaseUnlessDriven'>;
  routing: Pick<Routing, 'leg'>;
  /** Where a driver is who arrives. */
  see: See;
  relay: () => Relay;
  publisher: Publisher;
  clock: Clock;
  domainMeter: DomainMeter;
  ids: Ids;
  currency: string;
  settings: DepartureSettings;
  zoneOf(lat: number, lng: number): string;
  log: Logger;
}

export function createScheduled(deps: ScheduledDeps) {
  const { collections, idempotency, relay, clock, ids, log, dispatch, domainMeter: meter } = deps;
  // changes.ts finds departures only.
  const departures = collections.trips as unknown as Collection<Departure>;
  const changes = createChanges({ departures, relay, clock, ids, meter });
  const project = createProjection(collections.bookings, ids);
  const { claim, busy, releaseUnlessDriven: freeUnlessDriven } = dispatch;
  return {
    departures: createDepartures({ ...deps, departures, changes, claim, busy }),
    bookings: createBookings({ bookings: collections.bookings, changes, project, idempotency, ids, log }),
    react: createReactions({ ...deps, changes, project, claim, freeUnlessDriven }),
  };
}
