/** Settings of location intelligence: tracks, geofences, what counts as a hazard of a ride, and how long its rider may think. */
import { DAY, decimal, duration, HOUR, integer, MINUTE, required, SECOND } from './kinds.ts';

export const intelligenceSettings = {
  locationSample: required(
    'LOCATION_SAMPLE',
    integer(0, 10_000),
    '10',
    'One position in so many of each driver is sampled for the sink, and kept where he is on no trip, at most one in 5 s; 0: none. Those of a trip, and of a driver with an open SOS, are all kept.',
  ),
  trackFlush: required(
    'TRACK_FLUSH',
    duration(100, MINUTE),
    '5s',
    'How long the points of tracks are gathered before they are written.',
  ),
  trackRetention: required(
    'TRACK_RETENTION',
    duration(HOUR, 3650 * DAY),
    '90d',
    'How long tracks and geofence crossings are kept (domain time).',
  ),
  watchInterval: required(
    'WATCH_INTERVAL',
    duration(50, 10 * SECOND),
    '100ms',
    'How often positions that came are looked at for geofences, hazards and tracks.',
  ),
  watchSweepInterval: required(
    'WATCH_SWEEP_INTERVAL',
    duration(200, HOUR),
    '30s',
    'How often rides that no node watches are looked after.',
  ),
  geofenceRefresh: required(
    'GEOFENCE_REFRESH',
    duration(100, HOUR),
    '5s',
    'How soon a node knows of a geofence that was changed at another.',
  ),
  sosRefresh: required(
    'SOS_REFRESH',
    duration(100, HOUR),
    '5s',
    'How soon a node knows of an SOS that was raised or resolved at another: until it is, the track of who raised it is kept whole.',
  ),
  checkInAnswer: required(
    'CHECK_IN_ANSWER',
    duration(SECOND, HOUR),
    '60s',
    'How long a rider may think about a check-in before it becomes an SOS (domain time).',
  ),
  spoofingDistrust: required(
    'SPOOFING_DISTRUST',
    duration(0, DAY),
    '10m',
    'How long matching passes a driver over after a sign that his positions are spoofed (domain time); 0s: not at all. One whose position jumps is passed over until it is believed again.',
  ),
  staleClock: required(
    'STALE_CLOCK',
    duration(30 * SECOND, DAY),
    '5m',
    'A position that comes so long after it was measured is of a clock that is not believed: matching passes its driver over until one is (domain time).',
  ),
  routeDeviationM: required(
    'ROUTE_DEVIATION_M',
    integer(50, 100_000),
    '500',
    'A ride so far off its way, for 45 s, is a hazard; at half of it, it is over; metres.',
  ),
  longStop: required(
    'LONG_STOP',
    duration(10 * SECOND, DAY),
    '5m',
    'A ride that stands so long is a hazard (domain time).',
  ),
  overspeedMps: required(
    'OVERSPEED_MPS',
    decimal(1, 50),
    '39',
    'A ride so fast, for 15 s, is a hazard; at 85 % of it, it is over; metres a second.',
  ),
  signalLost: required(
    'SIGNAL_LOST',
    duration(SECOND, HOUR),
    '90s',
    'A ride that is not heard of for so long is a hazard (domain time).',
  ),
} as const;
