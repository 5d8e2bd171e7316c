/**
 * What is paid for: a ride, when a driver was found, or the seats of a departure, when they are booked. What each costs is said by its own
 * rules; here it is what the saga of a payment asks about either.
 */
import { RideError } from '../../errors.ts';
import { type Booking, owedMinor } from '../bookings/rules.ts';
import type { Bookings } from '../bookings/service.ts';
import { type Departure, isDeparture } from '../departures/departure.ts';
import { isSettled } from '../departures/rules.ts';
import { LOST, untilWritten } from '../documents/writing.ts';
import { holdMinor } from '../pricing/rules.ts';
import { isOperator, type Principal } from '../roles.ts';
import { isTerminal, SYSTEM } from '../statuses.ts';
import type { Trips } from '../trips/service.ts';
import { chargeOf, type Trip, termsOf } from '../trips/trip.ts';
import type { Payment } from './payment.ts';

export interface Payable {
  /** Of the ride or booking. */
  id: string;
  region: string;
  createdAt: number;
  tripId: string;
  bookingId?: string;
  riderId: string;
  currency: string;
  /** To be held for it, minor units; 0: nothing has to be paid. */
  holdMinor: number;
  /** Minor units; null until it has ended. */
  owedMinor: number | null;
  /** What its payment begins with has happened. */
  isBegun: boolean;
  /** When what was booked ahead takes place, epoch ms; absent: now. */
  departsAt?: number;
}

export interface PayablesDeps {
  trips: Trips;
  bookings: Pick<Bookings, 'cancel' | 'find'>;
  /** So much waiting at the pick-up is held for beside the fare of a ride, seconds. */
  waitingAllowanceS: number;
}

const SELF = { userId: SYSTEM, role: 'service' } as const;
const REASON = 'payment_declined';

/** Whoever drives a trip may read it, and not what its rider pays with, whatever role he asks in. @throws RideError RIDE_FORBIDDEN */
export function checkPayer({ userId, role }: Principal, payerId: string, kind: 'trip' | 'booking'): void {
  if (userId === payerId || isOperator(role)) return;
  throw new RideError('RIDE_FORBIDDEN', 'A payment is for who pays', {
    field: `${kind}_id`,
    rule: `a ${kind} that the caller pays for`,
  });
}

export type Payables = ReturnType<typeof createPayables>;

export function createPayables({ trips, bookings, waitingAllowanceS }: PayablesDeps) {
  function ofRide(trip: Trip): Payable {
    const { id, region, createdAt, riderId } = trip;
    const terms = termsOf(trip);
    return {
      ...{ id, region, createdAt, riderId, tripId: id },
      currency: terms.tariff.currency,
      // A provider holds no nothing, and waiting may still cost.
      holdMinor: Math.max(1, holdMinor(terms, waitingAllowanceS)),
      owedMinor: chargeOf(trip)?.totalMinor ?? null,
      isBegun: trip.history.some(({ type }) => type === 'assigned'),
    };
  }

  function ofBooking(departure: Departure, booking: Booking): Payable {
    const { id: bookingId, passengerId: riderId, bookedAt: createdAt, fareMinor } = booking;
    const { region, id: tripId, estimate, departureTime: departsAt } = departure;
    return {
      ...{ id: bookingId, region, createdAt, riderId, tripId, bookingId },
      currency: estimate.currency,
      // No fee is above the fare.
      holdMinor: fareMinor,
      owedMinor: owedMinor(booking, isSettled(departure)),
      isBegun: true,
      departsAt,
    };
  }

  /** Before its rider is on board. @throws RideError RIDE_PRECONDITION_FAILED when it moved on meanwhile */
  async function undoRide(tripId: string): Promise<void> {
    const trip = await trips.find(tripId);
    if (!trip || isTerminal(trip.status) || trip.status === 'in_progress') return;
    const cancel = { type: 'cancel', actorId: SELF.userId, role: SELF.role, reason: REASON } as const;
    await trips.command(tripId, cancel, trip.version);
  }

  /** The same of a booking. */
  async function undoBooking(tripId: string, bookingId: string): Promise<void> {
    const booking = (await bookings.find(tripId, bookingId))?.booking;
    if (booking?.status === 'confirmed') await bookings.cancel(SELF, bookingId, REASON, booking.version);
  }

  return {
    ofRide,
    ofBooking,

    /** By payment; one whose trip is gone is missing. */
    async findMany(payments: readonly Payment[]): Promise<Map<string, Payable>> {
      const found = await trips.anyMany([...new Set(payments.map(({ tripId }) => tripId))]);
      const byId = new Map(found.map((trip) => [trip.id, trip]));
      const payables = new Map<string, Payable>();
      for (const { id, tripId, bookingId } of payments) {
        const trip = byId.get(tripId);
        if (!trip) continue;
        if (!isDeparture(trip)) payables.set(id, ofRide(trip));
        const booking = isDeparture(trip) ? trip.bookings.find((one) => one.id === bookingId) : undefined;
        if (isDeparture(trip) && booking) payables.set(id, ofBooking(trip, booking));
      }
      return payables;
    },

    /** Who cannot pay is not driven: what was begun for him is undone, unless he is on board. @throws RideError RIDE_CONFLICT */
    undo: ({ tripId, bookingId }: Payment): Promise<void> =>
      untilWritten(bookingId === undefined ? 'trip' : 'booking', async () => {
        try {
          return await (bookingId === undefined ? undoRide(tripId) : undoBooking(tripId, bookingId));
        } catch (error) {
          // It moved on: whether he is on board has to be asked again.
          if (error instanceof RideError && error.code === 'RIDE_PRECONDITION_FAILED') return LOST;
          throw error;
        }
      }),
  };
}
