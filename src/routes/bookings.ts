/** Seats of departures: book, list, read, cancel, and who is there at the pick-up. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import {
  BookingPageSchema,
  BookingQuerySchema,
  BookingRequestSchema,
  BookingSchema,
  ManifestSchema,
  toBookingWire,
  toListedBookingWire,
} from '../domain/bookings/schemas.ts';
import type { Booked, Bookings } from '../domain/bookings/service.ts';
import type { Departures } from '../domain/departures/service.ts';
import { isOperator } from '../domain/roles.ts';
import { Id, paging } from '../domain/schemas.ts';
import { RideError } from '../errors.ts';
import { tellVersion, VersionHeaders, versionOf } from './conditional.ts';
import { IdempotencyHeaders, idempotencyKey } from './idempotency.ts';
import { problems } from './problems.ts';
import { sends } from './response-headers.ts';
import { forWhom, requireRole } from './roles.ts';
import { Empty, OptionalReason } from './trips.ts';

export interface BookingRouteOptions {
  departures: Pick<Departures, 'get'>;
  bookings: Bookings;
}

const DepartureParams = Type.Object({ departure_id: Id });
const BookingParams = Type.Object({ booking_id: Id });

function sendBooking(reply: FastifyReply, { departure, booking }: Booked) {
  tellVersion(reply, booking);
  return toBookingWire(departure, booking);
}

const bookingAnswer = sends(BookingSchema, 'ETag');
const madeBooking = sends(BookingSchema, 'ETag', 'Location');

export const bookingRoutes: FastifyPluginAsyncTypebox<BookingRouteOptions> = async (app, { departures, bookings }) => {
  const tags = ['bookings'];
  const security = [{ bearer: [] }];

  app.post(
    '/departures/:departure_id/bookings',
    {
      schema: {
        operationId: 'bookSeats',
        summary: 'Book seats of a departure',
        description:
          'All of them or none. Of two who want the last seat one has it; the other is told by 409 RIDE_SEATS_TAKEN how many are ' +
          'left, which booking was faster, and at which version of the departure. The fare is held afterwards: when that is declined, ' +
          'the booking is cancelled with the reason payment_declined, and the seats are free again.',
        tags,
        security,
        params: DepartureParams,
        headers: IdempotencyHeaders,
        body: BookingRequestSchema,
        response: {
          200: madeBooking,
          201: madeBooking,
          ...problems(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
        },
      },
    },
    async ({ principal, params, body, headers }, reply) => {
      requireRole(principal, 'rider', 'admin', 'dispatcher', 'service');
      const passengerId = forWhom(principal, 'passenger_id', body.passenger_id, 'A passenger books for himself');
      const input = {
        passengerId,
        seats: body.seats,
        ...(body.note ? { note: body.note } : {}),
      };
      const route = `POST /departures/${params.departure_id}/bookings`;
      const key = idempotencyKey(principal, route, headers['idempotency-key'], body);
      const booked = await bookings.book(params.departure_id, input, key);
      reply.code(booked.created ? 201 : 200).header('location', `/api/v1/bookings/${booked.booking.id}`);
      return sendBooking(reply, booked) as never;
    },
  );

  app.get(
    '/departures/:departure_id/bookings',
    {
      schema: {
        operationId: 'getManifest',
        summary: 'Who has booked a departure',
        description: 'For its driver and operators.',
        tags,
        security,
        params: DepartureParams,
        response: { 200: ManifestSchema, ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ principal, params }) => {
      const departure = await departures.get(params.departure_id);
      if (departure.driverId !== principal.userId && !isOperator(principal.role)) {
        throw new RideError('RIDE_FORBIDDEN', 'Only the driver may know his passengers', {
          field: 'departure_id',
          rule: 'a departure of the caller',
        });
      }
      return { items: departure.bookings.map((booking) => toBookingWire(departure, booking)) };
    },
  );

  app.get(
    '/bookings',
    {
      schema: {
        operationId: 'listBookings',
        summary: 'List bookings',
        description: 'Newest first. Passengers see their own, operators all.',
        tags,
        security,
        querystring: BookingQuerySchema,
        response: { 200: BookingPageSchema, ...problems(400, 401, 429, 503) },
      },
    },
    async ({ principal, query }) => {
      const page = await bookings.list(principal, {
        status: query.status,
        tripId: query.trip_id,
        passengerId: query.passenger_id,
        ...paging(query),
      });
      return { items: page.items.map(toListedBookingWire), next_page_token: page.nextPageToken };
    },
  );

  const reading = { tags, security, params: BookingParams };

  app.get(
    '/bookings/:booking_id',
    {
      schema: {
        operationId: 'getBooking',
        summary: 'Read a booking',
        ...reading,
        response: { 200: bookingAnswer, ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ principal, params }, reply) => sendBooking(reply, await bookings.get(principal, params.booking_id)),
  );

  app.post(
    '/bookings/:booking_id/cancel',
    {
      schema: {
        operationId: 'cancelBooking',
        summary: 'Cancel a booking',
        description:
          'By its passenger for the fee that `cancellation` says, by the driver or an operator for none. If-Match takes the ETag of ' +
          'the booking; a repeat answers with the present state.',
        ...reading,
        headers: VersionHeaders,
        body: OptionalReason,
        response: { 200: bookingAnswer, ...problems(400, 401, 403, 404, 409, 412, 413, 415, 429, 503) },
      },
    },
    async ({ principal, params, body, headers }, reply) => {
      const version = versionOf(headers['if-match']);
      return sendBooking(reply, await bookings.cancel(principal, params.booking_id, body?.reason, version));
    },
  );

  for (const [step, type, summary] of [
    ['board', 'board', 'The passenger is on board'],
    ['no-show', 'no_show', 'The passenger did not come'],
  ] as const) {
    app.post(
      `/bookings/:booking_id/${step}`,
      {
        schema: {
          operationId: type === 'board' ? 'boardBooking' : 'missBooking',
          summary,
          description: 'By the driver at the pick-up; a repeat answers with the present state.',
          ...reading,
          body: Empty,
          response: { 200: bookingAnswer, ...problems(400, 401, 403, 404, 409, 413, 415, 429, 503) },
        },
      },
      async (request, reply) => {
        const { principal } = request;
        const { booking_id } = request.params as { booking_id: string };
        requireRole(principal, 'driver');
        return sendBooking(reply, await bookings.attend(principal.userId, booking_id, type));
      },
    );
  }
};
