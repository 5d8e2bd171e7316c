/** Check-ins: read and answered by the two sides of a trip, watched by operators. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import {
  CheckInAnswerSchema,
  CheckInPageSchema,
  CheckInQuerySchema,
  CheckInSchema,
  toCheckInWire,
} from '../domain/check-ins/schemas.ts';
import type { CheckIns } from '../domain/check-ins/service.ts';
import { isOperator } from '../domain/roles.ts';
import { Id, paging } from '../domain/schemas.ts';
import { problems } from './problems.ts';
import { requireRole } from './roles.ts';

const security = [{ bearer: [] }];
const tags = ['safety'];

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
        response: { 200: CheckInSchema, ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ principal, params }) =>
      toCheckInWire(await checkIns.get(principal, params.trip_id), isOperator(principal.role)),
  );

  app.post(
    '/trips/:trip_id/check-in/answer',
    {
      schema: {
        operationId: 'answerCheckIn',
        summary: 'Say whether all is well',
        description:
          'By the rider, of a departure anybody on board, or the driver. Without an answer of the rider in time, or when either asks for help, it becomes an SOS. ' +
          'A repeat answers with the present state.',
        tags,
        security,
        params,
        body: CheckInAnswerSchema,
        response: { 200: CheckInSchema, ...problems(400, 401, 403, 404, 409, 413, 415, 429, 503) },
      },
    },
    async ({ principal, params, body }) =>
      toCheckInWire(
        await checkIns.answer(principal, params.trip_id, body.round, body.is_safe),
        isOperator(principal.role),
      ),
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
