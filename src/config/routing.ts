/** Settings of ways by road: the engine, its limits, its breaker, what is remembered of its answers, and how traffic is learnt. */
import {
  DAY,
  decimal,
  duration,
  HOUR,
  integer,
  MINUTE,
  oneOf,
  optional,
  required,
  SECOND,
  text,
  url,
} from './kinds.ts';

export const routingSettings = {
  routingEngine: required(
    'ROUTING_ENGINE',
    oneOf('none', 'osrm', 'valhalla'),
    'none',
    'Engine of ways by road; none: straight lines only.',
  ),
  routingUrl: optional(
    'ROUTING_URL',
    url('http:', 'https:'),
    'Address of the engine, with its path if it has one.',
    true,
  ),
  routingProfile: optional(
    'ROUTING_PROFILE',
    text,
    'Profile in the requests to OSRM, default driving; costing model of Valhalla, default auto.',
  ),
  routingTimeout: required(
    'ROUTING_TIMEOUT',
    duration(10, MINUTE),
    '500ms',
    'Longest wait for the engine; past it the straight line is taken.',
  ),
  routingMaxInFlight: required(
    'ROUTING_MAX_IN_FLIGHT',
    integer(1, 1000),
    '16',
    'Requests to the engine at once, per process; eight times as many may wait.',
  ),
  routingBatch: required(
    'ROUTING_BATCH',
    integer(1, 1000),
    '99',
    'Origins in one request to the engine, within its own limit (OSRM: --max-table-size).',
  ),
  routingMatrixMax: required(
    'ROUTING_MATRIX_MAX',
    integer(1, 10_000),
    '200',
    'Of the origins of one question, the nearest that are asked of the engine; the others go by the straight line.',
  ),
  routingMaxSnapM: required(
    'ROUTING_MAX_SNAP_M',
    integer(1, 100_000),
    '500',
    'A place farther from every road than this has no way by road, metres.',
  ),
  routingBreakerThreshold: required(
    'ROUTING_BREAKER_THRESHOLD',
    integer(1, 1000),
    '5',
    'Failures in a row after which the engine is left alone.',
  ),
  routingBreakerReset: required(
    'ROUTING_BREAKER_RESET',
    duration(100, HOUR),
    '30s',
    'How long it is left alone before one request tries again.',
  ),
  routingCacheSize: required('ROUTING_CACHE_SIZE', integer(0, 10_000_000), '50000', 'Ways remembered in each process.'),
  routingCacheTtl: required(
    'ROUTING_CACHE_TTL',
    duration(SECOND, 30 * DAY),
    '6h',
    'How long a way is remembered, in the process and in Redis.',
  ),
  routingCacheResolution: required(
    'ROUTING_CACHE_RESOLUTION',
    integer(7, 13),
    '10',
    'H3 resolution of the cells between which ways are remembered.',
  ),
  trafficFactor: required(
    'TRAFFIC_FACTOR',
    decimal(0.25, 8),
    '1',
    'Real time over the engine’s, where nothing has been learnt from finished trips yet.',
  ),
  trafficHalfLife: required(
    'TRAFFIC_HALF_LIFE',
    duration(HOUR, 365 * DAY),
    '14d',
    'After this a finished trip counts half in what is learnt of the traffic (domain time).',
  ),
} as const;
