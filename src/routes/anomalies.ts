/** Flags of what looks like cheating, and what people say of them. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import {
  AnomalyPageSchema,
  AnomalyQuerySchema,
  AnomalySchema,
  ReviewSchema,
  toAnomalyWire,
} from '../domain/anomalies/schemas.ts';
import type { Anomalies } from '../domain/anomalies/service.ts';
import { paging } from '../domain/schemas.ts';
import { tellVersion, VersionHeaders, versionOf } from './conditional.ts';
import { problems } from './problems.ts';
import { sends } from './response-headers.ts';
import { requireRole } from './roles.ts';

const anomalyAnswer = sends(AnomalySchema, 'ETag');

export const anomalyRoutes: FastifyPluginAsyncTypebox<{ anomalies: Anomalies }> = async (app, { anomalies }) => {
  const tags = ['safety'];
  const security = [{ bearer: [] }];
  const params = Type.Object({ anomaly_id: Type.String({ minLength: 1, maxLength: 200 }) });
  app.addHook('preParsing', async ({ principal }) => {
    requireRole(principal, 'admin', 'dispatcher');
  });

  app.get(
    '/anomalies',
    {
      schema: {
        operationId: 'listAnomalies',
        summary: 'What looks like cheating',
        description: 'The last that was found first.',
        tags,
        security,
        querystring: AnomalyQuerySchema,
        response: { 200: AnomalyPageSchema, ...problems(400, 401, 403, 429, 503) },
      },
    },
    async ({ query }) => {
      const page = await anomalies.list({
        status: query.status,
        kind: query.kind,
        subjectId: query.subject_id,
        ...paging(query),
      });
      return { items: page.items.map(toAnomalyWire), next_page_token: page.nextPageToken };
    },
  );

  app.get(
    '/anomalies/:anomaly_id',
    {
      schema: {
        operationId: 'getAnomaly',
        summary: 'A flag with its evidence',
        tags,
        security,
        params,
        response: { 200: anomalyAnswer, ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ params }, reply) => {
      const flag = await anomalies.get(params.anomaly_id);
      tellVersion(reply, flag);
      return toAnomalyWire(flag);
    },
  );

  app.post(
    '/anomalies/:anomaly_id/review',
    {
      schema: {
        operationId: 'reviewAnomaly',
        summary: 'Say what a flag is worth',
        description: 'For a day after it the same finding opens the flag no more.',
        tags,
        security,
        params,
        headers: VersionHeaders,
        body: ReviewSchema,
        response: { 200: anomalyAnswer, ...problems(400, 401, 403, 404, 409, 412, 413, 415, 429, 503) },
      },
    },
    async ({ principal, params, headers, body }, reply) => {
      const flag = await anomalies.review(
        params.anomaly_id,
        principal.userId,
        body.verdict,
        body.note,
        versionOf(headers['if-match']),
      );
      tellVersion(reply, flag);
      return toAnomalyWire(flag);
    },
  );
};
