/** What the two sides of a trip, or of a booking, said to each other. They talk on the streams; here it is read. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { ChatPageSchema, toChatWire } from '../domain/chat/schemas.ts';
import type { Chat } from '../domain/chat/service.ts';
import { Closed, Id, PageQuerySchema, paging } from '../domain/schemas.ts';
import { readAt, type TopicPosition } from './cursor.ts';
import { problems } from './problems.ts';
import { sends } from './response-headers.ts';

export interface ChatRouteOptions {
  chat: Pick<Chat, 'history'>;
  position: TopicPosition;
}

const DESCRIPTION =
  'Newest first, also when it has ended; for its two sides and operators. A driver reads what was said since the trip was assigned to him, ' +
  'and not what an earlier driver and the rider said. By the header `Topic-Position` a stream goes on from here: ' +
  'what comes twice has the same `sender_id` and `message_id`.';

export const chatRoutes: FastifyPluginAsyncTypebox<ChatRouteOptions> = async (app, { chat, position }) => {
  for (const [kind, operationId, summary] of [
    ['trip', 'getTripChat', 'What rider and driver said'],
    ['booking', 'getBookingChat', 'What passenger and driver said'],
  ] as const) {
    app.get(
      `/${kind}s/:${kind}_id/messages`,
      {
        schema: {
          operationId,
          summary,
          description: DESCRIPTION,
          tags: [`${kind}s`],
          security: [{ bearer: [] }],
          params: Type.Object({ [`${kind}_id`]: Id }),
          querystring: Type.Object(PageQuerySchema, Closed),
          response: { 200: sends(ChatPageSchema, 'Topic-Position'), ...problems(400, 401, 403, 404, 429, 503) },
        },
      },
      async ({ principal, params, query }, reply) => {
        const id = params[`${kind}_id`]!;
        const name = kind === 'trip' ? { tripId: id } : { bookingId: id };
        const read = () => chat.history(principal, name, paging(query));
        const { items, nextPageToken } = await readAt(reply, position, `${kind}:${id}`, read);
        return { items: items.map(toChatWire), next_page_token: nextPageToken };
      },
    );
  }
};
