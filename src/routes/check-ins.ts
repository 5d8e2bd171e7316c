/** Check-ins: read and answered by the two sides of a trip, watched by operators. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import { type Static, Type } from 'typebox';
import type { CheckIn } from '../domain/check-ins/check-in.ts';
import {
  CheckInAnswerSchema,
  CheckInPageSchema,
  CheckInQuerySchema,
  CheckInSchema,
  toCheckInWire,
} from '../domain/check-ins/schemas.ts';
import type { CheckIns } from '../domain/check-ins/service.ts';
import { isOperator, type Principal } from '../domain/roles.ts';
import { Id, paging } from '../domain/schemas.ts';
import { tellVersion, VersionHeaders, versionOf } from './conditional.ts';
import { problems } from './problems.ts';
import { sends } from './response-headers.ts';
import { requireRole } from './roles.ts';

const security = [{ bearer: [] }];
const tags = ['safety'];
const checkInAnswer = sends(CheckInSchema, 'ETag');

function sendCheckIn(reply: FastifyReply, { role }: Principal, checkIn: CheckIn) {
  tellVersion(reply, checkIn);
  return toCheckInWire(checkIn, isOperator(role));
}

export const checkInRoutes: FastifyPluginAsyncTypebox<{ checkIns: CheckIns }> = async (app, { checkIns }) => {
  const params = Type.Object({ trip_id: Id });

  app.get(
    '/trips/:trip_id/check-in',
    {
      schema: {
        operationId: 'getCheckIn',
        summary: 'What was found on a trip, and what is asked',
        description:
          'For its rider, of a departure who is on board, its driver and operators; 404 as long as nothing was found.',
        tags,
        security,
        params,
        response: { 200: checkInAnswer, ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ principal, params }, reply) =>
      sendCheckIn(reply, principal, await checkIns.get(principal, params.trip_id)),
  );

  app.post(
    '/trips/:trip_id/check-in/answer',
    {
      // A call for help is taken at once: whoever repeats it has the same alert.
      config: { isUrgent: (body) => !(body as Static<typeof CheckInAnswerSchema>).is_safe },
      schema: {
        operationId: 'answerCheckIn',
        summary: 'Say whether all is well',
        description:
          'By the rider, of a departure anybody on board, or the driver. Without an answer of the rider in time, or when either asks for help, it becomes an SOS. ' +
          'A repeat answers with the present state. Who asks for help is heard whatever If-Match and Idempotency-Key say.',
        tags,
        security,
        params,
        headers: VersionHeaders,
        body: CheckInAnswerSchema,
        response: { 200: checkInAnswer, ...problems(400, 401, 403, 404, 409, 412, 413, 415, 429, 503) },
      },
    },
    async ({ principal, params, body, headers }, reply) => {
      const version = body.is_safe ? versionOf(headers['if-match']) : undefined;
      const answered = await checkIns.answer(principal, params.trip_id, body.round, body.is_safe, version);
      return sendCheckIn(reply, principal, answered);
    },
  );
};

export const checkInDeskRoutes: FastifyPluginAsyncTypebox<{ checkIns: CheckIns }> = async (app, { checkIns }) => {
  app.get(
    '/check-ins',
    {
      schema: {
        operationId: 'listCheckIns',
        summary: 'Check-ins of all trips',
        description: 'The last that changed first. For admins and dispatchers.',
        tags,
        security,
        querystring: CheckInQuerySchema,
        response: { 200: CheckInPageSchema, ...problems(400, 401, 403, 429, 503) },
      },
    },
    async ({ principal, query }) => {
      requireRole(principal, 'admin', 'dispatcher');
      const page = await checkIns.list({ status: query.status, ...paging(query) });
      return { items: page.items.map((checkIn) => toCheckInWire(checkIn, true)), next_page_token: page.nextPageToken };
    },
  );
};
