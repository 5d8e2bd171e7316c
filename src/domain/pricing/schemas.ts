/** Quotes, fares and surge zones on the REST wire. Amounts are whole minor units, factors thousandths. */
import { type Static, Type } from 'typebox';
import { after, DROPOFF, ESTIMATE, PICKUP, RIDER_ID, TRIP_ID, ZONE } from '../examples.ts';
import {
  Closed,
  EpochMs,
  EstimateSource,
  ForWhom,
  Latitude,
  Longitude,
  OneOf,
  PlaceCitySchema,
  VehicleClassSchema,
} from '../schemas.ts';
import { Cell, Permille } from '../surge/schemas.ts';
import { chargeOf, type Trip, termsOf } from '../trips/trip.ts';
import { type Fare, fareLineKinds, fareOfTerms, type Quote, type SurgeSnapshot, type Terms } from './rules.ts';

const Minor = Type.Integer({ minimum: 0, description: 'minor units of the currency' });
const PointSchema = Type.Object({ lat: Latitude, lng: Longitude }, { ...Closed, title: 'Point' });

/** Longer than any that is given out. */
export const QuoteIdSchema = Type.String({
  minLength: 1,
  maxLength: 2048,
  description: 'a quote’s id as it was given',
});

export const QuoteRequestSchema = Type.Object(
  {
    pickup: PointSchema,
    dropoff: PointSchema,
    vehicle_class: Type.Optional(VehicleClassSchema),
    city: PlaceCitySchema,
    rider_id: ForWhom,
  },
  {
    ...Closed,
    title: 'QuoteRequest',
    examples: [{ pickup: { lat: 40.7484, lng: -73.9857 }, dropoff: { lat: 40.7061, lng: -74.0087 } }],
  },
);

const SurgeSchema = Type.Object(
  {
    zone: Cell,
    multiplier_permille: Permille,
    demand: Type.Number({ description: 'trips that wait or waited in vain, with the neighbours’ share' }),
    supply: Type.Number({ description: 'drivers available, with the neighbours’ share' }),
    target_permille: Permille,
    computed_at: Type.Union([EpochMs, Type.Null()], { description: 'null: nothing is known of the zone' }),
  },
  { title: 'Surge', description: 'The surge of a zone, and what it came from' },
);

export const FareSchema = Type.Object(
  {
    currency: Type.String({ description: 'ISO 4217' }),
    total_minor: Minor,
    lines: Type.Array(
      Type.Object({
        kind: OneOf(fareLineKinds),
        amount_minor: Minor,
        quantity: Type.Optional(
          Type.Integer({ description: 'distance in metres, time and waiting in seconds, surge in thousandths' }),
        ),
      }),
      { description: 'their sum is the total' },
    ),
  },
  { title: 'Fare' },
);

const TermsSchema = {
  distance_m: Type.Integer(),
  duration_s: Type.Integer(),
  estimate_source: Type.Optional(EstimateSource),
  surge: SurgeSchema,
  waiting: Type.Object({ free_s: Type.Integer(), per_minute_minor: Minor }),
  cancellation: Type.Object({
    free_s: Type.Integer({ description: 'after a driver was found' }),
    fee_minor: Minor,
  }),
};

const { distance_m, duration_s, source: estimate_source, fare_minor, currency } = ESTIMATE;
const priceExample = {
  fare: {
    currency,
    total_minor: fare_minor,
    lines: [
      { kind: 'base', amount_minor: 250 },
      { kind: 'distance', amount_minor: 1065, quantity: distance_m },
      { kind: 'time', amount_minor: 954, quantity: duration_s },
    ],
  },
  distance_m,
  duration_s,
  estimate_source,
  surge: {
    zone: ZONE,
    multiplier_permille: 1000,
    demand: 3.5,
    supply: 8,
    target_permille: 1000,
    computed_at: after(-5),
  },
  waiting: { free_s: 180, per_minute_minor: 30 },
  cancellation: { free_s: 120, fee_minor: 500 },
};

export const QuoteSchema = Type.Object(
  {
    id: QuoteIdSchema,
    expires_at: EpochMs,
    rider_id: Type.String(),
    city: Type.String(),
    vehicle_class: VehicleClassSchema,
    pickup: PointSchema,
    dropoff: PointSchema,
    fare: FareSchema,
    ...TermsSchema,
  },
  {
    title: 'Quote',
    description: 'A price that holds until it expires',
    examples: [
      {
        id: 'qte_eyJ2IjoxfQ.kX2mN0rQdW5cJx4v7bT1sA',
        expires_at: after(300),
        rider_id: RIDER_ID,
        city: 'nyc',
        vehicle_class: 'standard',
        pickup: { lat: PICKUP.lat, lng: PICKUP.lng },
        dropoff: { lat: DROPOFF.lat, lng: DROPOFF.lng },
        ...priceExample,
      },
    ],
  },
);

export const TripFareSchema = Type.Object(
  {
    trip_id: Type.String(),
    state: OneOf(['estimated', 'final'] as const),
    quoted: Type.Boolean({ description: 'the ride costs what was quoted; else its time is counted' }),
    fare: FareSchema,
    ...TermsSchema,
  },
  {
    title: 'TripFare',
    description: 'What a trip costs, line by line, and the terms it follows from',
    examples: [{ trip_id: TRIP_ID, state: 'estimated', quoted: true, ...priceExample }],
  },
);

function toSurge(s: SurgeSnapshot): Static<typeof SurgeSchema> {
  return {
    zone: s.zone,
    multiplier_permille: s.multiplierPermille,
    demand: s.demand,
    supply: s.supply,
    target_permille: s.targetPermille,
    computed_at: s.at === 0 ? null : s.at,
  };
}

export function toFareWire(fare: Fare): Static<typeof FareSchema> {
  return {
    currency: fare.currency,
    total_minor: fare.totalMinor,
    lines: fare.lines.map(({ kind, amountMinor, quantity }) => ({
      kind,
      amount_minor: amountMinor,
      ...(quantity === undefined ? {} : { quantity }),
    })),
  };
}

const toTerms = ({ tariff, distanceM, durationS, source, surge }: Terms) => ({
  distance_m: distanceM,
  duration_s: durationS,
  estimate_source: source,
  surge: toSurge(surge),
  waiting: { free_s: tariff.waitingFreeS, per_minute_minor: tariff.waitingPerMinuteMinor },
  cancellation: { free_s: tariff.cancellationFreeS, fee_minor: tariff.cancellationFeeMinor },
});

export function toQuoteWire(id: string, quote: Quote, fare: Fare): Static<typeof QuoteSchema> {
  return {
    id,
    expires_at: quote.expiresAt,
    rider_id: quote.riderId,
    city: quote.city,
    vehicle_class: quote.vehicleClass,
    pickup: quote.pickup,
    dropoff: quote.dropoff,
    fare: toFareWire(fare),
    ...toTerms(quote.terms),
  };
}

export function toTripFareWire(trip: Trip): Static<typeof TripFareSchema> {
  const charged = chargeOf(trip);
  const terms = termsOf(trip);
  return {
    trip_id: trip.id,
    state: charged ? 'final' : 'estimated',
    quoted: terms.quoted,
    fare: toFareWire(charged ?? fareOfTerms(terms)),
    ...toTerms(terms),
  };
}
