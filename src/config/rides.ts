/** Settings of rides: locations and zones, matching and offers, fares, and the sweep of what a crash left. */
import { dispatchSettings } from './dispatch.ts';
import { DAY, decimal, duration, HOUR, integer, type Kind, MINUTE, required, SECOND } from './kinds.ts';

export const ridesSettings = {
  locationFlush: required(
    'LOCATION_FLUSH',
    duration(0, SECOND),
    '2ms',
    'Shortest time between two writes of locations to Redis, which is what one may wait for company; the first is written at once.',
  ),
  locationBatchMax: required(
    'LOCATION_BATCH_MAX',
    integer(1, 1000),
    '100',
    'Locations in one batch message or request.',
  ),
  locationTtl: required(
    'LOCATION_TTL',
    duration(MINUTE, DAY),
    '1h',
    'How long the last position of a driver or trip is kept.',
  ),
  locationFreshness: required(
    'LOCATION_FRESHNESS',
    duration(SECOND, HOUR),
    '60s',
    'Age past which a position is stale and keeps its driver out of matching (domain time).',
  ),
  arrivalRadiusM: required(
    'ARRIVAL_RADIUS_M',
    integer(0, 100_000),
    '300',
    'So far from the pick-up may be, by his newest position while that is fresh, a driver who says that he has arrived, metres; 0: anywhere.',
  ),
  clockSkewMax: required(
    'CLOCK_SKEW_MAX',
    duration(SECOND, DAY),
    '2m',
    'How far ahead of the server a device clock may be (domain time).',
  ),
  zoneResolution: required('ZONE_RESOLUTION', integer(4, 10), '7', 'H3 resolution of zones.'),
  zoneBroadcastInterval: required(
    'ZONE_BROADCAST_INTERVAL',
    duration(100, MINUTE),
    '1s',
    'At most one broadcast per zone or city, node and interval.',
  ),
  zoneBroadcastMax: required(
    'ZONE_BROADCAST_MAX',
    integer(1, 100_000),
    '500',
    'Drivers in one message of a broadcast; of more it is several messages.',
  ),
  etaRefreshInterval: required(
    'ETA_REFRESH_INTERVAL',
    duration(100, 10 * MINUTE),
    '5s',
    'At most one ETA refresh per trip and interval.',
  ),
  matchRadiusM: required(
    'MATCH_RADIUS_M',
    integer(100, 100_000),
    '5000',
    'Radius around the pick-up in which drivers are sought, metres.',
  ),
  matchCandidates: required(
    'MATCH_CANDIDATES',
    integer(1, 500),
    '40',
    'Drivers compared for one trip: rings of H3 cells are added until so many are found that may take it.',
  ),
  ...dispatchSettings,
  matchRetry: required(
    'MATCH_RETRY',
    duration(100, HOUR),
    '5s',
    'Wait before drivers are sought again for those who found none (domain time).',
  ),
  offerTtl: required(
    'OFFER_TTL',
    duration(500, DAY),
    '15s',
    'How long a driver may think about an offer (domain time).',
  ),
  maxOffers: required('MAX_OFFERS', integer(1, 1000), '50', 'Offers of one trip before it expires.'),
  tripRequestTtl: required(
    'TRIP_REQUEST_TTL',
    duration(SECOND, 7 * DAY),
    '10m',
    'How long a trip waits for a driver before it expires, anew when its driver cancels (domain time).',
  ),
  tripMaxDuration: required(
    'TRIP_MAX_DURATION',
    duration(MINUTE, 7 * DAY),
    '12h',
    'A trip without an end after this is closed by the server (domain time).',
  ),
  averageSpeedMps: required(
    'AVERAGE_SPEED_MPS',
    decimal(0.5, 60),
    '6',
    'Speed of straight-line ETAs, metres a second.',
  ),
  detourFactor: required('DETOUR_FACTOR', decimal(1, 5), '1.35', 'Road distance over straight-line distance.'),
  currency: required(
    'CURRENCY',
    { rule: 'three capital letters (ISO 4217)', parse: (s) => (/^[A-Z]{3}$/.test(s) ? s : undefined) } as Kind<string>,
    'USD',
    'Currency of fares.',
  ),
  fareBaseMinor: required('FARE_BASE_MINOR', integer(0, 10_000_000), '250', 'Base fare, minor units.'),
  farePerKmMinor: required('FARE_PER_KM_MINOR', integer(0, 10_000_000), '155', 'Fare a kilometre, minor units.'),
  farePerMinuteMinor: required('FARE_PER_MINUTE_MINOR', integer(0, 10_000_000), '50', 'Fare a minute, minor units.'),
  fareMinimumMinor: required('FARE_MINIMUM_MINOR', integer(0, 10_000_000), '500', 'Least fare, minor units.'),
  sweepInterval: required('SWEEP_INTERVAL', duration(200, HOUR), '5s', 'How often what a crash left is looked for.'),
  sweepAge: required('SWEEP_AGE', duration(100, HOUR), '3s', 'Age at which unfinished work counts as left behind.'),
} as const;
