/** A trip or booking as server-sent events: what happens to a trip, where its driver is, when he comes; and what is said. */
import type { ServerResponse } from 'node:http';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Bookings } from '../domain/bookings/service.ts';
import { eventId } from '../domain/names.ts';
import type { Principal } from '../domain/roles.ts';
import { Id, Named } from '../domain/schemas.ts';
import type { Trips } from '../domain/trips/service.ts';
import { bearerOf } from '../realtime/sign-in.ts';
import { problems } from './problems.ts';

export interface EventStreamOptions {
  trips: Pick<Trips, 'follow'>;
  bookings: Pick<Bookings, 'get'>;
  verifyToken(token: string | undefined): Principal;
  /** @throws RideError when no session may be opened now, from this address or of this user */
  knock(address: string): void;
  enter(userId: string): void;
  /** Turns the response into a stream of the topic, from after `since` on. @throws RideError before anything is sent */
  open(
    principal: Principal,
    response: ServerResponse,
    headers: Record<string, number | string | string[] | undefined>,
    topic: string,
    since: string | undefined,
  ): void;
}

/** EventSource can set no header. */
function tokenOf({ headers, query }: FastifyRequest): string | undefined {
  return bearerOf(headers.authorization) ?? (query as { access_token?: string }).access_token;
}

const DESCRIPTION = `Events are named after the messages of the streams and carry their payload as JSON: \`trip_event\`,
\`chat_message\` (recoverable: they have an id), \`location\`, \`eta_refresh\`, \`typing_notice\` (the newest counts).

What was missed since \`Last-Event-ID\` (or \`since\`) comes first, in order; then \`subscribed\`, whose id is the position now, and
the newest location. When some of what was missed is no longer kept, \`gap\` comes in place of it all, and then the trip's last event
without an id, which says how the trip stands.
\`go_away\` says that the server stops, and sets the time to reconnect; \`closed\` says why the server ends the stream.
Comments keep the connection alive. An event may come twice: drop repeats by the trip event's \`seq\` and the chat message's
\`message_id\`.`;

const STREAMS = [
  { kind: 'trip', operationId: 'followTrip', summary: 'Follow a trip by server-sent events', of: '' },
  {
    kind: 'booking',
    operationId: 'followBooking',
    summary: 'Follow what is said about a booking by server-sent events',
    of: 'Of a booking come `chat_message` and `typing_notice`; what happens to its seats is told of the departure. After `gap` all that was said is read from `/bookings/{booking_id}/messages`.\n\n',
  },
] as const;

export const eventStreamRoutes: FastifyPluginAsyncTypebox<EventStreamOptions> = async (app, options) => {
  for (const { kind, operationId, summary, of } of STREAMS) {
    app.get(
      `/${kind}s/:${kind}_id/events/stream`,
      {
        // A session has to be open to have a head; nobody asks for the head alone.
        exposeHeadRoute: false,
        schema: {
          operationId,
          summary,
          description: of + DESCRIPTION,
          tags: [`${kind}s`],
          security: [{ bearer: [] }, { query_token: [] }],
          params: Type.Object({ [`${kind}_id`]: Id }),
          querystring: Type.Object({
            since: Type.Optional(
              Named(eventId, 'The id of the last event seen, where Last-Event-ID cannot be set; `:0` is the beginning'),
            ),
            access_token: Type.Optional(Type.String({ description: 'The token, where Authorization cannot be set' })),
          }),
          headers: Type.Object({
            'last-event-id': Type.Optional(Named(eventId, 'Set by EventSource when it reconnects')),
          }),
          response: {
            200: {
              description: 'The stream',
              // What OpenAPI 3.1 has no word for: tools take it for one event or for all of them.
              content: { 'text/event-stream': { schema: {} } },
            },
            ...problems(400, 401, 403, 404, 429, 503),
          },
        },
        onRequest: async (request) => {
          options.knock(request.ip);
          request.principal = options.verifyToken(tokenOf(request));
          options.enter(request.principal.userId);
        },
      },
      async ({ principal, params, query, headers }, reply) => {
        const id = params[`${kind}_id`]!;
        await (kind === 'trip' ? options.trips.follow(principal, id) : options.bookings.get(principal, id));
        const since = headers['last-event-id'] ?? query.since;
        options.open(principal, reply.raw, reply.getHeaders(), `${kind}:${id}`, since);
        reply.hijack();
      },
    );
  }
};
