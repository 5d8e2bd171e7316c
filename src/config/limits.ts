/** Settings of how much one caller may ask for. */
import { DAY, duration, integer, MINUTE, required, SECOND } from './kinds.ts';

export const limitsSettings = {
  rateLimitDefault: required(
    'RATE_LIMIT_DEFAULT',
    integer(1, 100_000_000),
    '100',
    'Requests a minute of an address: those without sign-in, and those that no route answers.',
  ),
  rateLimitAuthenticated: required(
    'RATE_LIMIT_AUTHENTICATED',
    integer(1, 100_000_000),
    '500',
    'Requests a minute of a signed-in user.',
  ),
  rateLimitPremium: required(
    'RATE_LIMIT_PREMIUM',
    integer(1, 100_000_000),
    '1000',
    'Requests a minute of the premium tier, services and operators.',
  ),
  socketLimitGeneral: required(
    'SOCKET_LIMIT_GENERAL',
    integer(1, 100_000_000),
    '100',
    'Messages of one user over all his sockets within SOCKET_LIMIT_WINDOW; locations, chat, heartbeats, acks and SOS not counted.',
  ),
  socketLimitLocation: required(
    'SOCKET_LIMIT_LOCATION',
    integer(1, 100_000_000),
    '1000',
    'Locations of one user over all his sockets, and by REST, within SOCKET_LIMIT_WINDOW; a batch counts each of its locations.',
  ),
  socketLimitChat: required(
    'SOCKET_LIMIT_CHAT',
    integer(1, 100_000_000),
    '50',
    'Chat messages and typing notices of one user over all his sockets within SOCKET_LIMIT_WINDOW.',
  ),
  socketLimitWindow: required(
    'SOCKET_LIMIT_WINDOW',
    duration(SECOND, DAY),
    '60s',
    'Time in which a used up socket limit is whole again.',
  ),
  tripRequestLimit: required(
    'TRIP_REQUEST_LIMIT',
    integer(1, 100_000_000),
    '20',
    'Trips, deliveries among them, that a rider may request within TRIP_REQUEST_TTL; operators and services are not counted.',
  ),
  idempotencyTtl: required(
    'IDEMPOTENCY_TTL',
    duration(MINUTE, 30 * DAY),
    '24h',
    'How long an idempotency key is remembered.',
  ),
} as const;
