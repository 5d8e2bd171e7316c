/** Settings of scheduled departures and the seats on them. Terms hold for departures that are published from then on. */
import { DAY, duration, HOUR, integer, required, SECOND } from './kinds.ts';

const percent = integer(0, 100);

export const departuresSettings = {
  departureSeatsMax: required('DEPARTURE_SEATS_MAX', integer(1, 100), '60', 'Most seats of one departure.'),
  departureAheadMax: required(
    'DEPARTURE_AHEAD_MAX',
    duration(HOUR, 365 * DAY),
    '90d',
    'How long ahead a departure may be published (domain time).',
  ),
  departureBoarding: required(
    'DEPARTURE_BOARDING',
    duration(0, DAY),
    '1h',
    'The driver may be at the pick-up, and passengers board, from so long before the departure on (domain time).',
  ),
  departureGrace: required(
    'DEPARTURE_GRACE',
    duration(SECOND, DAY),
    '1h',
    'A departure whose driver has not come so long after its time expires (domain time).',
  ),
  bookingCloses: required(
    'BOOKING_CLOSES',
    duration(0, 7 * DAY),
    '10m',
    'No seats are booked from so long before the departure on (domain time).',
  ),
  bookingCancelFree: required(
    'BOOKING_CANCEL_FREE',
    duration(0, 30 * DAY),
    '24h',
    'A passenger cancels for nothing until so long before the departure (domain time).',
  ),
  bookingCancelLate: required(
    'BOOKING_CANCEL_LATE',
    duration(0, 30 * DAY),
    '2h',
    'From so long before the departure on a passenger who cancels owes the late fee (domain time).',
  ),
  bookingCancelFeePercent: required(
    'BOOKING_CANCEL_FEE_PERCENT',
    percent,
    '50',
    'Fee of a passenger who cancels after BOOKING_CANCEL_FREE, of the fare.',
  ),
  bookingLateFeePercent: required(
    'BOOKING_LATE_FEE_PERCENT',
    percent,
    '100',
    'Fee of a passenger who cancels after BOOKING_CANCEL_LATE, of the fare.',
  ),
  bookingNoShowFeePercent: required(
    'BOOKING_NO_SHOW_FEE_PERCENT',
    percent,
    '100',
    'Fee of a passenger who does not come, of the fare.',
  ),
} as const;
