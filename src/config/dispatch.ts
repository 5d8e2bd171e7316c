/** Settings of dispatch: who is compared, what counts how much, whether drivers are asked in turn, at once, or in a window. */
import { DAY, decimal, duration, HOUR, integer, MINUTE, required, SECOND } from './kinds.ts';

export const dispatchSettings = {
  dispatchCellResolution: required(
    'DISPATCH_CELL_RESOLUTION',
    integer(5, 10),
    '8',
    'H3 resolution of the rings in which drivers are sought; 8 is about a kilometre from centre to centre.',
  ),
  dispatchMaxEta: required(
    'DISPATCH_MAX_ETA',
    duration(MINUTE, 4 * HOUR),
    '30m',
    'A driver who would take longer to the pick-up is not asked (domain time).',
  ),
  dispatchOffers: required(
    'DISPATCH_OFFERS',
    integer(1, 20),
    '1',
    'Drivers asked at once for one trip: 1 asks one after another, more is a broadcast that the first to accept wins.',
  ),
  dispatchWindow: required(
    'DISPATCH_WINDOW',
    duration(0, MINUTE),
    '0s',
    'Trips of a city that come within this time are assigned together; 0s decides at once, together about those that come while a decision is made (domain time).',
  ),
  dispatchWindowTrips: required(
    'DISPATCH_WINDOW_TRIPS',
    integer(1, 1000),
    '1000',
    'Most trips decided together; of more, those who wait longest come first.',
  ),
  dispatchTimeLimit: required(
    'DISPATCH_TIME_LIMIT',
    duration(1, 10 * SECOND),
    '250ms',
    'Longest time of one assignment; trips that it does not reach get the cheapest driver left.',
  ),
  dispatchAhead: required(
    'DISPATCH_AHEAD',
    duration(0, DAY),
    '15m',
    'How long before its pick-up time a driver is sought for a ride for later (domain time).',
  ),
  dispatchLogTtl: required(
    'DISPATCH_LOG_TTL',
    duration(HOUR, 365 * DAY),
    '7d',
    'How long decisions of dispatch are kept with their inputs (domain time).',
  ),
  dispatchIdleWeight: required(
    'DISPATCH_IDLE_WEIGHT',
    decimal(0, 10),
    '0.05',
    'Seconds of ETA that a second of idleness is worth, up to DISPATCH_IDLE_CAP.',
  ),
  dispatchIdleCap: required(
    'DISPATCH_IDLE_CAP',
    duration(0, DAY),
    '20m',
    'Idleness beyond this counts no more (domain time).',
  ),
  dispatchAcceptanceWeight: required(
    'DISPATCH_ACCEPTANCE_WEIGHT',
    duration(0, HOUR),
    '60s',
    'ETA that always accepting is worth against never.',
  ),
  dispatchRatingWeight: required('DISPATCH_RATING_WEIGHT', duration(0, HOUR), '20s', 'ETA that one star is worth.'),
  dispatchHeadingWeight: required(
    'DISPATCH_HEADING_WEIGHT',
    duration(0, HOUR),
    '15s',
    'ETA that driving towards the pick-up is worth against driving away from it.',
  ),
  dispatchUnservedWeight: required(
    'DISPATCH_UNSERVED_WEIGHT',
    duration(0, DAY),
    '2h',
    'What a trip that gets nobody counts, as ETA; the longer it has waited, the more.',
  ),
} as const;
