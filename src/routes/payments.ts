/** Payments as operators see them: those that failed, and a way to try them once more. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { PaymentPageSchema, PaymentQuerySchema, PaymentSchema, toPaymentWire } from '../domain/payments/schemas.ts';
import type { TripPayments } from '../domain/payments/service.ts';
import { Id, paging } from '../domain/schemas.ts';
import { problems } from './problems.ts';
import { requireRole } from './roles.ts';
import { Empty } from './trips.ts';

export const paymentDeskRoutes: FastifyPluginAsyncTypebox<{ payments: TripPayments }> = async (app, { payments }) => {
  const { desk } = payments;
  const tags = ['pricing'];
  const security = [{ bearer: [] }];
  const params = Type.Object({ payment_id: Id });
  app.addHook('preParsing', async ({ principal }) => {
    requireRole(principal, 'admin', 'dispatcher');
  });

  app.get(
    '/payments',
    {
      schema: {
        operationId: 'listPayments',
        summary: 'Payments of all trips',
        description: 'The last that changed first. With status=failed those that people have to look at.',
        tags,
        security,
        querystring: PaymentQuerySchema,
        response: { 200: PaymentPageSchema, ...problems(400, 401, 403, 429, 503) },
      },
    },
    async ({ query }) => {
      const page = await desk.list({ ...paging(query), status: query.status });
      return { items: page.items.map(toPaymentWire), next_page_token: page.nextPageToken };
    },
  );

  app.post(
    '/payments/:payment_id/retry',
    {
      schema: {
        operationId: 'retryPayment',
        summary: 'Have the step of a failed payment taken once more, or an unpaid one charged',
        description:
          'Answers with how the payment stands after it: failed or unpaid again, or further on. The provider’s keys are those of the first try, so nothing is taken twice; ' +
          'to charge one that stayed unpaid is asked of the provider anew.',
        tags,
        security,
        params,
        body: Empty,
        response: { 200: PaymentSchema, ...problems(400, 401, 403, 404, 409, 413, 415, 429, 503) },
      },
    },
    async ({ params }) => toPaymentWire(await desk.retry(params.payment_id)),
  );
};
