/** Deliveries, document E's orders: order, read, prove. Offers, the steps between and cancelling are those of trips. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import {
  DeliveryPageSchema,
  DeliveryParamsSchema,
  DeliveryQuerySchema,
  DeliveryRequestSchema,
  DeliverySchema,
  ProofSchema,
  toDeliveryWire,
} from '../domain/deliveries/schemas.ts';
import type { Deliveries } from '../domain/deliveries/service.ts';
import type { Geofences } from '../domain/geofences/service.ts';
import type { Principal } from '../domain/roles.ts';
import type { Trip } from '../domain/trips/trip.ts';
import { tellVersion, VersionHeaders, versionOf } from './conditional.ts';
import { IdempotencyHeaders, idempotencyKey } from './idempotency.ts';
import { problems } from './problems.ts';
import { sends } from './response-headers.ts';
import { forWhom, requireRole } from './roles.ts';
import { PAGES, searchOf } from './search.ts';
import { cityAndQuote } from './trip-city.ts';
import type { TripLimit } from './trip-limit.ts';

export interface DeliveryRouteOptions {
  geofences: Pick<Geofences, 'cityOf'>;
  deliveries: Deliveries;
  tripLimit: TripLimit;
}

const deliveryAnswer = sends(DeliverySchema, 'ETag');
const madeDelivery = sends(DeliverySchema, 'ETag', 'Location');

export const deliveryRoutes: FastifyPluginAsyncTypebox<DeliveryRouteOptions> = async (app, options) => {
  const { deliveries, geofences, tripLimit } = options;
  const tags = ['deliveries'];
  const security = [{ bearer: [] }];

  const wireOf = (principal: Principal, trip: Trip) => toDeliveryWire(trip, deliveries.sightOf(principal, trip));

  function sendDelivery(reply: FastifyReply, principal: Principal, trip: Trip) {
    tellVersion(reply, trip);
    return wireOf(principal, trip);
  }

  app.post(
    '/deliveries',
    {
      schema: {
        operationId: 'orderDelivery',
        summary: 'Order a delivery',
        description:
          'It is a trip: its id is a trip’s, its topic trip:<id> or order:<id>, and porters are offered it as drivers are a ride. ' +
          'Without vehicle_class the smallest that takes the parcel is sent.',
        tags,
        security,
        headers: IdempotencyHeaders,
        body: DeliveryRequestSchema,
        response: {
          200: madeDelivery,
          201: madeDelivery,
          ...problems(400, 401, 403, 409, 413, 415, 422, 429, 503),
        },
      },
    },
    async ({ principal, body, headers }, reply) => {
      requireRole(principal, 'rider', 'admin', 'dispatcher', 'service');
      const riderId = forWhom(principal, 'rider_id', body.rider_id, 'A client orders deliveries for himself');
      const { weight_g, ...parcel } = body.parcel;
      const wish = () => ({
        riderId,
        pickup: body.pickup,
        dropoff: body.dropoff,
        ...cityAndQuote(geofences, principal, body),
        pickupContact: body.pickup_contact,
        dropoffContact: body.dropoff_contact,
        parcel: { ...parcel, weightG: weight_g },
        accepts: body.accepts ?? ['code' as const],
        ...(body.vehicle_class ? { vehicleClass: body.vehicle_class } : {}),
        ...(body.note ? { note: body.note } : {}),
        ...tripLimit(principal),
      });
      const key = idempotencyKey(principal, 'POST /deliveries', headers['idempotency-key'], body);
      const { trip, created } = await deliveries.order(wish, key);
      reply.code(created ? 201 : 200).header('location', `/api/v1/deliveries/${trip.id}`);
      return sendDelivery(reply, principal, trip) as never;
    },
  );

  app.get(
    '/deliveries',
    {
      schema: {
        operationId: 'listDeliveries',
        summary: 'List deliveries',
        description: `Clients and porters see their own, operators all. ${PAGES}`,
        tags,
        security,
        querystring: DeliveryQuerySchema,
        response: { 200: DeliveryPageSchema, ...problems(400, 401, 429, 503) },
      },
    },
    async ({ principal, query }) => {
      const page = await deliveries.list(principal, searchOf(query));
      return { items: page.items.map((trip) => wireOf(principal, trip)), next_page_token: page.nextPageToken };
    },
  );

  app.get(
    '/deliveries/:delivery_id',
    {
      schema: {
        operationId: 'getDelivery',
        summary: 'Read a delivery',
        description: 'A porter who is offered it sees the parcel; contacts come with the assignment.',
        tags,
        security,
        params: DeliveryParamsSchema,
        response: { 200: deliveryAnswer, ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ principal, params }, reply) =>
      sendDelivery(reply, principal, await deliveries.get(principal, params.delivery_id)),
  );

  app.post(
    '/deliveries/:delivery_id/complete',
    {
      schema: {
        operationId: 'completeDelivery',
        summary: 'The parcel is delivered',
        description:
          'By its porter, with the code that whoever takes it says, or with a photo, as the sender accepts. A wrong code is refused by ' +
          '409 RIDE_PROOF_REFUSED and remembered; after too many a photo is taken instead. A repeat answers with the present state.',
        tags,
        security,
        params: DeliveryParamsSchema,
        headers: VersionHeaders,
        body: ProofSchema,
        response: { 200: deliveryAnswer, ...problems(400, 401, 403, 404, 409, 412, 413, 415, 429, 503) },
      },
    },
    async ({ principal, params, body, headers }, reply) => {
      requireRole(principal, 'driver');
      const shown = body.code === undefined ? { photoRef: body.photo_ref! } : { code: body.code };
      const version = versionOf(headers['if-match']);
      const trip = await deliveries.complete(principal.userId, params.delivery_id, shown, version);
      return sendDelivery(reply, principal, trip);
    },
  );
};
