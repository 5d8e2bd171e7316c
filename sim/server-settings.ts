/** The settings that servers get for a replay: its clock, and what has to grow with the clock's speed. */
import type { ClockSettings } from './sim-clock.ts';

const HOUR_S = 3600;
/** Longest that the server takes for LOCATION_FRESHNESS. */
const MAX_FRESHNESS_S = HOUR_S;

/**
 * Durations of the domain pass `speed` times faster than the wall, people's fingers and the network do not: an offer must
 * live for about two seconds of the wall, a position must stay fresh between two updates, and so on.
 */
export function replaySettings(clock: ClockSettings): Record<string, string> {
  const atLeast = (domainS: number, wallS: number, mostS = Number.POSITIVE_INFINITY) =>
    `${Math.min(mostS, Math.max(domainS, Math.ceil(wallS * clock.speed)))}s`;
  return {
    RIDESTREAM_MODE: 'development',
    CLOCK_SPEED: String(clock.speed),
    CLOCK_START: new Date(clock.startMs).toISOString(),
    CLOCK_ANCHOR: String(clock.anchorMs),
    OFFER_TTL: atLeast(15, 2.5),
    MATCH_RETRY: atLeast(5, 0.5),
    TRIP_REQUEST_TTL: atLeast(600, 15),
    LOCATION_FRESHNESS: atLeast(60, 12, MAX_FRESHNESS_S),
    CLOCK_SKEW_MAX: atLeast(120, 2),
    // Nobody is missed, and asked whether all is well, for a hiccup of the wall.
    SIGNAL_LOST: atLeast(90, 12, HOUR_S),
    CHECK_IN_ANSWER: atLeast(60, 12, HOUR_S),
    LONG_STOP: atLeast(300, 12, 24 * HOUR_S),
    ETA_REFRESH_INTERVAL: atLeast(5, 1, 600),
    TRIP_MAX_DURATION: atLeast(12 * HOUR_S, 600),
    IDEMPOTENCY_TTL: atLeast(24 * HOUR_S, 600),
    // All clients come from one address.
    RATE_LIMIT_DEFAULT: '100000000',
    RATE_LIMIT_AUTHENTICATED: '100000000',
    RATE_LIMIT_PREMIUM: '100000000',
    CONNECTION_RATE: '1000000',
    CONNECTION_BURST: '10000000',
    // Domain time runs faster than the wall: a driver sends a day's positions in minutes.
    SOCKET_LIMIT_GENERAL: '100000000',
    SOCKET_LIMIT_LOCATION: '100000000',
    SOCKET_LIMIT_CHAT: '100000000',
    TRIP_REQUEST_LIMIT: '100000000',
    SOCKET_LIMIT_WINDOW: '60s',
    LOG_LEVEL: 'info',
  };
}
