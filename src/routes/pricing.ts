/** Prices: quotes, the fare of a trip, payments of trips and bookings, and the surge zones for maps. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Geofences } from '../domain/geofences/service.ts';
import { GEOJSON } from '../domain/geojson.ts';
import { PaymentSchema, toPaymentWire } from '../domain/payments/schemas.ts';
import type { TripPayments } from '../domain/payments/service.ts';
import {
  QuoteRequestSchema,
  QuoteSchema,
  TripFareSchema,
  toQuoteWire,
  toTripFareWire,
} from '../domain/pricing/schemas.ts';
import type { Pricing } from '../domain/pricing/service.ts';
import { Id } from '../domain/schemas.ts';
import { SurgeQuerySchema, SurgeZonesSchema, toSurgeZonesWire } from '../domain/surge/schemas.ts';
import type { Surge } from '../domain/surge/service.ts';
import type { Trips } from '../domain/trips/service.ts';
import { RideError } from '../errors.ts';
import { problems } from './problems.ts';
import { forWhom, requireRole } from './roles.ts';

export interface PricingRouteOptions {
  geofences: Pick<Geofences, 'cityOf'>;
  pricing: Pricing;
  surge: Surge;
  trips: Trips;
  /** Null where nothing is held or captured: then nothing has a payment. */
  payments: TripPayments | null;
}

export const pricingRoutes: FastifyPluginAsyncTypebox<PricingRouteOptions> = async (app, options) => {
  const { pricing, surge, geofences, trips } = options;

  /** @throws RideError RIDE_NOT_FOUND */
  function held(): TripPayments {
    if (options.payments) return options.payments;
    throw new RideError('RIDE_NOT_FOUND', 'This server holds no payments');
  }

  const tags = ['pricing'];
  const security = [{ bearer: [] }];

  app.post(
    '/quotes',
    {
      schema: {
        operationId: 'createQuote',
        summary: 'Ask what a ride costs',
        description:
          'The price holds until it expires: give its id as quote_id when the trip is requested. A quote is good for one trip; waiting beyond the free time comes on top.',
        tags,
        security,
        body: QuoteRequestSchema,
        response: { 201: QuoteSchema, ...problems(400, 401, 403, 413, 415, 429, 503) },
      },
    },
    async ({ principal, body }, reply) => {
      requireRole(principal, 'rider', 'admin', 'dispatcher', 'service');
      const riderId = forWhom(principal, 'rider_id', body.rider_id, 'A rider asks for quotes for himself');
      const { id, quote, fare } = await pricing.quote({
        riderId,
        pickup: body.pickup,
        dropoff: body.dropoff,
        city: geofences.cityOf(body.pickup, body.city, principal.city),
        vehicleClass: body.vehicle_class ?? 'standard',
      });
      // Prices are nobody's to keep for others.
      reply.code(201).header('cache-control', 'no-store');
      return toQuoteWire(id, quote, fare);
    },
  );

  app.get(
    '/trips/:trip_id/fare',
    {
      schema: {
        operationId: 'getTripFare',
        summary: 'What a trip costs, line by line',
        description: 'What was said before, until the trip has ended; then what is charged.',
        tags,
        security,
        params: Type.Object({ trip_id: Id }),
        response: { 200: TripFareSchema, ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ principal, params }) => toTripFareWire(await trips.get(principal, params.trip_id)),
  );

  app.get(
    '/trips/:trip_id/payment',
    {
      schema: {
        operationId: 'getTripPayment',
        summary: 'What was held, owed and captured for a trip',
        description: 'For its rider and operators; from the moment a driver was found.',
        tags,
        security,
        params: Type.Object({ trip_id: Id }),
        response: { 200: PaymentSchema, ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ principal, params }) => {
      requireRole(principal, 'rider', 'admin', 'dispatcher', 'service');
      return toPaymentWire(await held().ofTrip(principal, params.trip_id));
    },
  );

  app.get(
    '/bookings/:booking_id/payment',
    {
      schema: {
        operationId: 'getBookingPayment',
        summary: 'What was held, owed and captured for a booking',
        description:
          'For its passenger and operators. The fare is held when seats are booked, and captured when the departure is completed; a fee of who ' +
          'cancelled or did not come is captured in its place, and the hold released when nothing is owed.',
        tags,
        security,
        params: Type.Object({ booking_id: Id }),
        response: { 200: PaymentSchema, ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ principal, params }) => {
      requireRole(principal, 'rider', 'admin', 'dispatcher', 'service');
      return toPaymentWire(await held().ofBooking(principal, params.booking_id));
    },
  );

  app.get(
    '/surge/zones',
    {
      schema: {
        operationId: 'listSurgeZones',
        summary: 'Surge by zone, with what it came from',
        description:
          'GeoJSON of the zones in which trips wait, drivers are available or a surge is fading. Computed by one node for all every SURGE_INTERVAL.',
        tags,
        security,
        querystring: SurgeQuerySchema,
        response: {
          200: { description: 'A polygon for each zone', content: { [GEOJSON]: { schema: SurgeZonesSchema } } },
          ...problems(400, 401, 429, 503),
        },
      },
    },
    async ({ query }, reply) => {
      const { at, zones } = await surge.zones(query.city);
      return reply.type(GEOJSON).send(toSurgeZonesWire(at, zones) as never);
    },
  );
};
