/**
 * Quotes. A quote is not stored: its id is the quote itself, sealed, so that any node can make one and any can take it, also while
 * the store is away. It carries the id of the trip that it may become; because a trip's id is taken once, so is a quote, without
 * a second document and without a step that a crash could lose.
 */
import { invalidInput, RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { MoneyMeter } from '../../ports/money-meter.ts';
import type { Seal } from '../../ports/seal.ts';
import type { LatLng } from '../geo.ts';
import type { Geofences } from '../geofences/service.ts';
import type { Ids } from '../ids.ts';
import type { Eta } from '../routing/service.ts';
import {
  type Fare,
  fareOfTerms,
  type Journey,
  journeyViolation,
  noSurge,
  type Quote,
  type SurgeSnapshot,
  type Tariff,
  type Terms,
} from './rules.ts';

export interface PricingDeps {
  seal: Seal;
  surge: { at(zone: string): Promise<SurgeSnapshot> };
  clock: Clock;
  ids: Ids;
  /** The way that is priced. */
  legOf(from: LatLng, to: LatLng, city: string): Promise<Eta>;
  tariff: Tariff;
  /** Domain ms. */
  quoteTtlMs: number;
  cities: Pick<Geofences, 'citiesAt' | 'isDrawn'>;
  /** H3 cell of a place at the zone resolution. */
  zoneOf(lat: number, lng: number): string;
  meter: MoneyMeter;
}

const PREFIX = 'quote_';
/** Of what a sealed text holds; a text of another form is of another time. */
const FORM = 1;

/** What is to be booked with a quote; without a city it is that of the quote. */
export type QuotedJourney = Omit<Journey, 'city'> & { city?: string };

export type Pricing = ReturnType<typeof createPricing>;

/** @throws RideError RIDE_INVALID_INPUT for a journey that cannot be */
export function checkJourney({ pickup, dropoff }: Pick<Journey, 'pickup' | 'dropoff'>): void {
  const rule = journeyViolation(pickup, dropoff);
  if (rule) throw invalidInput('dropoff', rule);
}

export function createPricing(deps: PricingDeps) {
  const { seal, surge, clock, ids, tariff, cities, meter } = deps;

  /** The refusal of a quote that holds no longer, which another may replace. */
  const over = (why: string, rule: string, facts: NonNullable<RideError['facts']>): RideError =>
    new RideError('RIDE_QUOTE_EXPIRED', `${why}; ask for another`, { field: 'quote_id', rule, facts });

  async function terms(journey: Journey, quoted: boolean, isLater = false): Promise<Terms> {
    const zone = deps.zoneOf(journey.pickup.lat, journey.pickup.lng);
    const leg = await deps.legOf(journey.pickup, journey.dropoff, journey.city);
    return {
      tariff,
      // Fares are of whole metres and seconds.
      distanceM: Math.round(leg.distanceM),
      durationS: Math.round(leg.etaS),
      source: leg.source,
      baseS: leg.baseS,
      // What is wanted and there now says nothing of a later time.
      surge: isLater ? noSurge(zone) : await surge.at(zone),
      quoted,
    };
  }

  /** What of `journey` is not as it was quoted; null when all is. */
  function difference(quote: Quote, journey: QuotedJourney): string | null {
    const same = (a: LatLng, b: LatLng): boolean => a.lat === b.lat && a.lng === b.lng;
    if (quote.riderId !== journey.riderId) return 'rider_id';
    if (!same(quote.pickup, journey.pickup)) return 'pickup';
    if (!same(quote.dropoff, journey.dropoff)) return 'dropoff';
    if (journey.city !== undefined && quote.city !== journey.city) return 'city';
    return quote.vehicleClass === journey.vehicleClass ? null : 'vehicle_class';
  }

  return {
    /** A price that holds until `expiresAt`. @throws RideError RIDE_INVALID_INPUT */
    async quote(journey: Journey): Promise<{ id: string; quote: Quote; fare: Fare }> {
      checkJourney(journey);
      const { riderId, city, vehicleClass } = journey;
      const quote: Quote = {
        riderId,
        city,
        vehicleClass,
        pickup: { lat: journey.pickup.lat, lng: journey.pickup.lng },
        dropoff: { lat: journey.dropoff.lat, lng: journey.dropoff.lng },
        tripId: ids.next('trip'),
        terms: await terms(journey, true),
        isDrawn: cities.citiesAt(journey.pickup).includes(city),
        expiresAt: clock.now() + deps.quoteTtlMs,
      };
      const id = PREFIX + seal.close(JSON.stringify({ form: FORM, ...quote }));
      meter.quote('made');
      return { id, quote, fare: fareOfTerms(quote.terms) };
    },

    /**
     * The quote of an id, for the journey that is to be booked with it; whether it holds is the caller's question.
     * @throws RideError RIDE_INVALID_INPUT: `quote_id` when it is none of ours, else the field that was quoted otherwise
     */
    open(id: string, journey: QuotedJourney): Quote {
      const text = id.startsWith(PREFIX) ? seal.open(id.slice(PREFIX.length)) : null;
      const quote = text === null ? null : (JSON.parse(text) as Quote & { form: number });
      if (quote?.form !== FORM) throw invalidInput('quote_id', 'the id of a quote as it was given');
      const field = difference(quote, journey);
      if (field) throw invalidInput(field, 'as it was quoted');
      return quote;
    },

    /** @throws RideError RIDE_QUOTE_EXPIRED (facts: expired_at) */
    checkExpiry({ expiresAt }: Quote): void {
      if (clock.now() < expiresAt) return;
      throw over('The quote has expired', 'a quote that has not expired', { expired_at: expiresAt });
    },

    /**
     * A quote holds in the city in which it was made, however that was drawn anew since; but not when the city is drawn no more at all.
     * @throws RideError RIDE_QUOTE_EXPIRED (facts: city), RIDE_UNAVAILABLE
     */
    async checkCity({ city, pickup, isDrawn }: Quote): Promise<void> {
      if (!isDrawn || cities.citiesAt(pickup).includes(city) || (await cities.isDrawn(city))) return;
      throw over(`There is no city ${city} any more`, 'a quote of a city that is there', { city });
    },

    /** A request was refused, perhaps since its quote holds no longer. */
    refused(error: unknown): void {
      if (error instanceof RideError && error.code === 'RIDE_QUOTE_EXPIRED') meter.quote('expired');
    },

    /** The quote became its trip. */
    booked: (): void => meter.quote('booked'),

    /** The refusal of a quote whose trip is there already. */
    used(tripId: string): RideError {
      meter.quote('used');
      return new RideError('RIDE_QUOTE_USED', 'The quote has been booked already', {
        field: 'quote_id',
        rule: 'a quote that was not booked',
        facts: { trip_id: tripId },
      });
    },

    /** For a trip that is requested without a quote: the prices of now, its time counted. `isLater`: no driver is sought yet. */
    termsNow: (journey: Journey, isLater: boolean): Promise<Terms> => terms(journey, false, isLater),
  };
}
