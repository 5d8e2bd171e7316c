/** The payment of a ride or booking on the REST wire. */
import { type Static, Type } from 'typebox';
import { after, ESTIMATE, eventIdAt, RIDER_ID, TRIP_ID } from '../examples.ts';
import { Closed, EpochMs, OneOf, PageQuerySchema, pageOf } from '../schemas.ts';
import type { Payment } from './payment.ts';
import { paymentEventTypes, paymentStatuses, paymentSteps, unpaidMinor } from './rules.ts';

const Minor = Type.Integer({ minimum: 0, description: 'minor units of the currency' });

export const PaymentSchema = Type.Object(
  {
    id: Type.String(),
    trip_id: Type.String(),
    booking_id: Type.Optional(Type.String({ description: 'whose seats are paid for, of a departure' })),
    rider_id: Type.String(),
    status: OneOf(paymentStatuses),
    currency: Type.String(),
    hold_minor: Minor,
    owed_minor: Type.Union([Minor, Type.Null()], { description: 'null until the trip or booking has ended' }),
    captured_minor: Minor,
    unpaid_minor: Minor,
    decline_reason: Type.Optional(Type.String()),
    failed_step: Type.Optional(OneOf(paymentSteps)),
    failure: Type.Optional(Type.String({ description: 'why the last try of the present step failed' })),
    due_at: Type.Union([EpochMs, Type.Null()], {
      description: 'when the server looks after it at the latest; null: not by itself',
    }),
    attempts: Type.Integer({ minimum: 0, description: 'tries of the present step that failed' }),
    updated_at: EpochMs,
    events: Type.Array(
      Type.Object({
        id: Type.String(),
        seq: Type.Integer({ minimum: 1 }),
        type: OneOf(paymentEventTypes),
        status: OneOf(paymentStatuses),
        at: EpochMs,
        amount_minor: Type.Optional(Minor),
        reason: Type.Optional(Type.String()),
        step: Type.Optional(OneOf(paymentSteps)),
      }),
    ),
  },
  {
    title: 'Payment',
    description: 'What was held, owed and captured for a trip or a booking, and how it came to that',
    examples: [
      {
        id: 'pay_nyc_01jd0000000000000000000003',
        trip_id: TRIP_ID,
        rider_id: RIDER_ID,
        status: 'held',
        currency: ESTIMATE.currency,
        hold_minor: ESTIMATE.fare_minor,
        owed_minor: null,
        captured_minor: 0,
        unpaid_minor: 0,
        due_at: null,
        attempts: 0,
        updated_at: after(1),
        events: [
          {
            id: eventIdAt(20),
            seq: 1,
            type: 'requested',
            status: 'holding',
            at: after(0),
            amount_minor: ESTIMATE.fare_minor,
          },
          { id: eventIdAt(21), seq: 2, type: 'held', status: 'held', at: after(1) },
        ],
      },
    ],
  },
);

export const PaymentPageSchema = pageOf(PaymentSchema, 'PaymentPage');
export const PaymentQuerySchema = Type.Object(
  { status: Type.Optional(OneOf(paymentStatuses)), ...PageQuerySchema },
  Closed,
);

export function toPaymentWire(payment: Payment): Static<typeof PaymentSchema> {
  return {
    id: payment.id,
    trip_id: payment.tripId,
    ...(payment.bookingId ? { booking_id: payment.bookingId } : {}),
    rider_id: payment.riderId,
    status: payment.status,
    currency: payment.currency,
    hold_minor: payment.holdMinor,
    owed_minor: payment.owedMinor,
    captured_minor: payment.capturedMinor,
    unpaid_minor: unpaidMinor(payment),
    ...(payment.declineReason ? { decline_reason: payment.declineReason } : {}),
    ...(payment.failedStep ? { failed_step: payment.failedStep } : {}),
    ...(payment.failure ? { failure: payment.failure } : {}),
    due_at: payment.dueAt,
    attempts: payment.attempts,
    updated_at: payment.updatedAt,
    events: payment.history.map(({ id, seq, type, status, at, amountMinor, reason, step }) => ({
      id,
      seq,
      type,
      status,
      at,
      ...(amountMinor === undefined ? {} : { amount_minor: amountMinor }),
      ...(reason === undefined ? {} : { reason }),
      ...(step === undefined ? {} : { step }),
    })),
  };
}
