/** Scheduled departures: publish, find, read, and the driver's steps. Seats are booked by the routes of bookings.ts. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import type { Departure } from '../domain/departures/departure.ts';
import type { DepartureEvent } from '../domain/departures/rules.ts';
import {
  DepartureHistorySchema,
  DeparturePageSchema,
  DepartureQuerySchema,
  DepartureRequestSchema,
  DepartureSchema,
  toDepartureEventWire,
  toDepartureWire,
} from '../domain/departures/schemas.ts';
import type { Departures } from '../domain/departures/service.ts';
import type { Geofences } from '../domain/geofences/service.ts';
import { isOperator } from '../domain/roles.ts';
import { Id, paging } from '../domain/schemas.ts';
import type { Trips } from '../domain/trips/service.ts';
import { RideError } from '../errors.ts';
import { tellVersion, VersionHeaders, versionOf } from './conditional.ts';
import { IdempotencyHeaders, idempotencyKey } from './idempotency.ts';
import { problems } from './problems.ts';
import { sends } from './response-headers.ts';
import { requireRole } from './roles.ts';
import { around } from './search.ts';
import { Empty, OptionalReason } from './trips.ts';

export interface DepartureRouteOptions {
  geofences: Pick<Geofences, 'cityOf'>;
  departures: Departures;
  trips: Pick<Trips, 'mayRead'>;
}

const Params = Type.Object({ departure_id: Id });

function sendDeparture(reply: FastifyReply, departure: Departure) {
  tellVersion(reply, departure);
  return toDepartureWire(departure);
}

const departureAnswer = sends(DepartureSchema, 'ETag');
const madeDeparture = sends(DepartureSchema, 'ETag', 'Location');

export const departureRoutes: FastifyPluginAsyncTypebox<DepartureRouteOptions> = async (app, options) => {
  const { departures, trips, geofences } = options;
  const tags = ['departures'];
  const security = [{ bearer: [] }];

  app.post(
    '/departures',
    {
      schema: {
        operationId: 'publishDeparture',
        summary: 'Publish a departure with seats',
        tags,
        security,
        headers: IdempotencyHeaders,
        body: DepartureRequestSchema,
        response: {
          200: madeDeparture,
          201: madeDeparture,
          ...problems(400, 401, 403, 409, 413, 415, 422, 429, 503),
        },
      },
    },
    async ({ principal, body, headers }, reply) => {
      requireRole(principal, 'driver', 'admin', 'dispatcher', 'service');
      const operator = isOperator(principal.role);
      const driverId = body.driver_id ?? (operator ? undefined : principal.userId);
      if (driverId === undefined || (driverId !== principal.userId && !operator)) {
        throw new RideError(
          driverId === undefined ? 'RIDE_INVALID_INPUT' : 'RIDE_FORBIDDEN',
          'A driver publishes departures of his own; an operator names the driver',
          { field: 'driver_id', rule: operator ? 'the id of a driver' : 'the id of the caller' },
        );
      }
      const { pickup } = body;
      const field = pickup.city === undefined ? 'city' : 'pickup.city';
      const wish = () => {
        const city = geofences.cityOf(pickup, pickup.city ?? body.city, principal.city, field);
        return {
          driverId,
          pickup: { ...body.pickup, city },
          dropoff: {
            ...body.dropoff,
            city: geofences.cityOf(body.dropoff, body.dropoff.city, body.city ?? principal.city, 'dropoff.city'),
          },
          city,
          departureTime: body.departure_time,
          seats: body.seats,
          seatFareMinor: body.seat_fare_minor,
          vehicleClass: body.vehicle_class ?? principal.vehicleClass,
          ...(body.note ? { note: body.note } : {}),
        };
      };
      const key = idempotencyKey(principal, 'POST /departures', headers['idempotency-key'], body);
      const { departure, created } = await departures.publish(principal, wish, key);
      reply.code(created ? 201 : 200).header('location', `/api/v1/departures/${departure.id}`);
      return sendDeparture(reply, departure) as never;
    },
  );

  app.get(
    '/departures',
    {
      schema: {
        operationId: 'searchDepartures',
        summary: 'Find departures',
        description:
          'By departure time. Without a status, those that can be booked: with a seat free, and booking not closed. Those that have not begun ' +
          'are for everybody; a driver finds all of his own by driver_id, operators anybody’s. A page may hold less than page_size and have a next one all the same.',
        tags,
        security,
        querystring: DepartureQuerySchema,
        response: { 200: DeparturePageSchema, ...problems(400, 401, 403, 429, 503) },
      },
    },
    async ({ principal, query }) => {
      const page = await departures.search(principal, {
        status: query.status,
        driverId: query.driver_id,
        city: query.city,
        toCity: query.to_city,
        near: around('', query.lat, query.lng, query.radius_m),
        toNear: around('to_', query.to_lat, query.to_lng, query.to_radius_m),
        departsFrom: query.departs_from,
        departsBefore: query.departs_before,
        seats: query.seats,
        vehicleClass: query.vehicle_class,
        ...paging(query),
      });
      return { items: page.items.map(toDepartureWire), next_page_token: page.nextPageToken };
    },
  );

  const reading = { tags, security, params: Params };

  app.get(
    '/departures/:departure_id',
    {
      schema: {
        operationId: 'getDeparture',
        summary: 'Read a departure',
        ...reading,
        response: { 200: departureAnswer, ...problems(400, 401, 404, 429, 503) },
      },
    },
    async ({ params }, reply) => sendDeparture(reply, await departures.get(params.departure_id)),
  );

  app.get(
    '/departures/:departure_id/events',
    {
      schema: {
        operationId: 'getDepartureEvents',
        summary: 'The history of a departure',
        description:
          'For its driver, its passengers and operators. Live it is the topic trip:<departure_id>, or /trips/{trip_id}/events/stream.',
        ...reading,
        response: { 200: DepartureHistorySchema, ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ principal, params }) => {
      const departure = await departures.get(params.departure_id);
      if (!trips.mayRead(principal, departure)) {
        throw new RideError('RIDE_FORBIDDEN', 'Only who has part in a departure may follow it', {
          field: 'departure_id',
          rule: 'a departure of the caller',
        });
      }
      const knowsAll = departure.driverId === principal.userId || isOperator(principal.role);
      const isHis = (event: DepartureEvent): boolean => event.booking?.passengerId === principal.userId;
      return { items: departure.history.map((event) => toDepartureEventWire(event, knowsAll || isHis(event))) };
    },
  );

  const changing = {
    ...reading,
    headers: VersionHeaders,
    response: { 200: departureAnswer, ...problems(400, 401, 403, 404, 409, 412, 413, 415, 429, 503) },
  };

  app.post(
    '/departures/:departure_id/cancel',
    {
      schema: {
        operationId: 'cancelDeparture',
        summary: 'Cancel a departure',
        description: 'By its driver before it has left, or an operator. Passengers are told, and owe nothing.',
        ...changing,
        body: OptionalReason,
      },
    },
    async ({ principal, params, body, headers }, reply) => {
      const version = versionOf(headers['if-match']);
      return sendDeparture(reply, await departures.cancel(principal, params.departure_id, body?.reason, version));
    },
  );

  app.post(
    '/departures/:departure_id/arrive',
    {
      schema: {
        operationId: 'arriveDeparture',
        summary: 'The driver is at the pick-up, passengers board',
        description:
          'From then on he is on this trip and no other; his positions with its id are shown to its passengers.',
        ...changing,
        body: Empty,
      },
    },
    async ({ principal, params, headers }, reply) => {
      requireRole(principal, 'driver');
      return sendDeparture(
        reply,
        await departures.arrive(principal, params.departure_id, versionOf(headers['if-match'])),
      );
    },
  );

  for (const [type, summary] of [
    ['start', 'The departure leaves'],
    ['complete', 'The ride is over'],
  ] as const) {
    app.post(
      `/departures/:departure_id/${type}`,
      {
        schema: {
          operationId: `${type}Departure`,
          summary,
          description: 'By its driver; a repeat answers with the present state.',
          ...changing,
          body: Empty,
        },
      },
      async (request, reply) => {
        const { principal } = request;
        const { departure_id } = request.params as { departure_id: string };
        const version = versionOf((request.headers as { 'if-match'?: string })['if-match']);
        requireRole(principal, 'driver');
        const command = { type, driverId: principal.userId };
        return sendDeparture(reply, await departures.command(departure_id, command, version));
      },
    );
  }
};
