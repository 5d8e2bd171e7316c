/** Settings of operation: drain, clock, live map, log. */
import {
  decimal,
  duration,
  HOUR,
  instant,
  integer,
  MINUTE,
  oneOf,
  optional,
  path,
  required,
  timeZone,
} from './kinds.ts';

export const operationSettings = {
  drainDeadline: required('DRAIN_DEADLINE', duration(100, HOUR), '20s', 'Longest time of a graceful stop.'),
  drainJitter: required(
    'DRAIN_JITTER',
    duration(0, 10 * MINUTE),
    '5s',
    'Reconnects of a drain are spread over this time.',
  ),
  clockSpeed: required(
    'CLOCK_SPEED',
    decimal(0.001, 100_000),
    '1',
    'Domain seconds per wall second; other than 1 in development only.',
  ),
  clockStart: optional('CLOCK_START', instant, 'Domain time at the anchor; default: the anchor itself.'),
  clockAnchor: optional(
    'CLOCK_ANCHOR',
    integer(0, 8_640_000_000_000_000),
    'Wall time (epoch ms) at which domain time starts; default: the start of the process. Processes on one store must share it.',
  ),
  mapBasemap: optional('MAP_BASEMAP', path, 'GeoJSON file drawn under the live map.'),
  mapTimeZone: optional('MAP_TIME_ZONE', timeZone, 'Time zone of the times on the live map; default: the reader’s.'),
  logLevel: required(
    'LOG_LEVEL',
    oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    'info',
    'Least level that is logged.',
  ),
} as const;
