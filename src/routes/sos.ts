/** Alerts, for the people who answer them. They are raised on the streams. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { Id, paging } from '../domain/schemas.ts';
import {
  SosAlertPageSchema,
  SosAlertSchema,
  type SosDocument,
  SosQuerySchema,
  SosResolutionSchema,
  toSosAlertWire,
} from '../domain/sos/schemas.ts';
import type { Sos } from '../domain/sos/service.ts';
import { tellVersion, VersionHeaders, versionOf } from './conditional.ts';
import { problems } from './problems.ts';
import { sends } from './response-headers.ts';
import { requireRole } from './roles.ts';

const sosAlertAnswer = sends(SosAlertSchema, 'ETag');

export const sosDeskRoutes: FastifyPluginAsyncTypebox<{ sos: Sos }> = async (app, { sos }) => {
  const wireOf = async (alert: SosDocument) => toSosAlertWire(alert, await sos.place(alert));
  const tags = ['safety'];
  const security = [{ bearer: [] }];
  const params = Type.Object({ alert_id: Id });
  app.addHook('preParsing', async ({ principal }) => {
    requireRole(principal, 'admin', 'dispatcher');
  });

  app.get(
    '/sos',
    {
      schema: {
        operationId: 'listSosAlerts',
        summary: 'Calls for help',
        description: 'The newest first.',
        tags,
        security,
        querystring: SosQuerySchema,
        response: { 200: SosAlertPageSchema, ...problems(400, 401, 403, 429, 503) },
      },
    },
    async ({ query }) => {
      const page = await sos.list({ ...paging(query), status: query.status });
      return { items: await Promise.all(page.items.map(wireOf)), next_page_token: page.nextPageToken };
    },
  );

  app.get(
    '/sos/:alert_id',
    {
      schema: {
        operationId: 'getSosAlert',
        summary: 'A call for help',
        tags,
        security,
        params,
        response: { 200: sosAlertAnswer, ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ params }, reply) => {
      const alert = await sos.get(params.alert_id);
      tellVersion(reply, alert);
      return wireOf(alert);
    },
  );

  app.post(
    '/sos/:alert_id/resolve',
    {
      schema: {
        operationId: 'resolveSosAlert',
        summary: 'Say that a call for help is over',
        description:
          'The check-in that raised it is closed with it, and the user’s next call is another alert. A repeat answers with the present state.',
        tags,
        security,
        params,
        headers: VersionHeaders,
        body: Type.Optional(Type.Union([Type.Null(), SosResolutionSchema], { examples: [{ note: 'all is well' }] })),
        response: { 200: sosAlertAnswer, ...problems(400, 401, 403, 404, 409, 412, 413, 415, 429, 503) },
      },
    },
    async ({ principal, params, headers, body }, reply) => {
      const alert = await sos.resolve(principal, params.alert_id, body?.note, versionOf(headers['if-match']));
      tellVersion(reply, alert);
      return wireOf(alert);
    },
  );
};
