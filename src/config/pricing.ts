/** Settings of what comes on top of a fare: waiting, cancellation, surge; of quotes; and of payments. */
import { DAY, decimal, duration, HOUR, integer, MINUTE, oneOf, optional, required, SECOND, text } from './kinds.ts';

const money = integer(0, 10_000_000);

export const pricingSettings = {
  fareWaitingFree: required(
    'FARE_WAITING_FREE',
    duration(0, HOUR),
    '3m',
    'A driver waits so long at the pick-up for nothing; a passenger of a departure did not come only after it.',
  ),
  fareWaitingPerMinuteMinor: required(
    'FARE_WAITING_PER_MINUTE_MINOR',
    money,
    '30',
    'Fare of a further minute of waiting, minor units.',
  ),
  cancellationFree: required(
    'CANCELLATION_FREE',
    duration(0, DAY),
    '2m',
    'So long after a driver was found a rider may cancel for nothing.',
  ),
  cancellationFeeMinor: required(
    'CANCELLATION_FEE_MINOR',
    money,
    '500',
    'Fee of a rider who cancels later, minor units.',
  ),
  quoteTtl: required('QUOTE_TTL', duration(SECOND, DAY), '5m', 'How long a quoted price holds (domain time).'),
  quoteSecret: optional(
    'QUOTE_SECRET',
    text,
    'Signs the ids of quotes; when absent, a key derived from JWT_SECRET does.',
    true,
  ),
  quoteSecretPrevious: optional(
    'QUOTE_SECRET_PREVIOUS',
    text,
    'The former QUOTE_SECRET, accepted while its quotes still hold.',
    true,
  ),
  surgeInterval: required(
    'SURGE_INTERVAL',
    duration(500, HOUR),
    '10s',
    'How often the surge of all zones is computed, by one node (wall time).',
  ),
  surgeWindow: required(
    'SURGE_WINDOW',
    duration(SECOND, DAY),
    '5m',
    'How long a trip that found no driver counts as demand (domain time).',
  ),
  surgeHalfLife: required(
    'SURGE_HALF_LIFE',
    duration(100, DAY),
    '2m',
    'Half of a change of surge has arrived after this (domain time).',
  ),
  surgeCap: required('SURGE_CAP', decimal(1, 10), '2.5', 'Greatest surge factor; 1 switches surge off.'),
  surgeThreshold: required(
    'SURGE_THRESHOLD',
    decimal(0, 100),
    '1',
    'Demand over supply from which a zone has a surge.',
  ),
  surgeSlope: required(
    'SURGE_SLOPE',
    decimal(0, 100),
    '0.5',
    'What each unit of demand over supply beyond SURGE_THRESHOLD adds to the factor.',
  ),
  surgeMinDemand: required(
    'SURGE_MIN_DEMAND',
    decimal(0, 1_000_000),
    '3',
    'With fewer trips waiting, neighbours included, a zone has no surge.',
  ),
  surgeNeighbourShare: required(
    'SURGE_NEIGHBOUR_SHARE',
    decimal(0, 1),
    '0.5',
    'How much of what neighbouring zones have counts in a zone.',
  ),
  paymentsProvider: optional(
    'PAYMENTS_PROVIDER',
    oneOf('none', 'development'),
    'Who holds and captures fares: none, or the development provider, which only remembers. When absent, development in development mode and none in production.',
  ),
  paymentsWaitingAllowance: required(
    'PAYMENTS_WAITING_ALLOWANCE',
    duration(0, DAY),
    '15m',
    'So much waiting at the pick-up is held for beside the fare.',
  ),
  paymentsHoldLife: required(
    'PAYMENTS_HOLD_LIFE',
    duration(MINUTE, 365 * DAY),
    '6d',
    'So long a hold at the provider is counted on; for seats that are booked longer ahead it is made anew (domain time).',
  ),
  paymentsRenewAhead: required(
    'PAYMENTS_RENEW_AHEAD',
    duration(0, 365 * DAY),
    '24h',
    'So long before the departure such a hold is made anew (domain time).',
  ),
  paymentsRetry: required(
    'PAYMENTS_RETRY',
    duration(10, HOUR),
    '2s',
    'Wait before a failed step of a payment is tried again; doubled each time (domain time).',
  ),
  paymentsRetryMax: required(
    'PAYMENTS_RETRY_MAX',
    duration(10, DAY),
    '5m',
    'Longest wait before a failed step of a payment is tried again (domain time).',
  ),
  paymentsAttempts: required(
    'PAYMENTS_ATTEMPTS',
    integer(1, 100),
    '12',
    'Tries of a step of a payment before it is given up and the payment is failed.',
  ),
  paymentsRepairs: required(
    'PAYMENTS_REPAIRS',
    integer(0, 100),
    '8',
    'Times that reconciliation tries the step of a failed payment again, the wait doubled from PAYMENTS_RETRY_MAX up to a day; then only operators do.',
  ),
  paymentsReconcileInterval: required(
    'PAYMENTS_RECONCILE_INTERVAL',
    duration(200, DAY),
    '30s',
    'How often payments are held against trips and against the provider’s holds (wall time).',
  ),
  paymentsReconcileAge: required(
    'PAYMENTS_RECONCILE_AGE',
    duration(0, DAY),
    '2m',
    'Age from which a hold that no payment wants is released (domain time).',
  ),
} as const;
