/**
 * Every error of Ridestream, once: its code, what it means on each transport, and whether a repeat can help.
 *
 * REST answers with RFC 9457 problem+json, gRPC with a status, sockets with an `error` envelope; where a socket has to be
 * closed, 4000–4499 tell the client to reconnect and 4500–4999 not to. `docs/errors.md` is held against this table by a test.
 */

interface ErrorSpec {
  /** HTTP status (RFC 9110). */
  http: number;
  /** gRPC status code (grpc/statuscodes.md). */
  grpc: number;
  /** Socket close code, where this error ends a session. */
  close?: number;
  /** Whether the same call may succeed later. */
  retryable: boolean;
  /** One sentence for the title of the problem document. */
  title: string;
}

const spec = (http: number, grpc: number, retryable: boolean, title: string, close?: number): ErrorSpec => ({
  http,
  grpc,
  retryable,
  title,
  close,
});

/** gRPC status numbers by name, only those used here. */
export const grpcStatus = {
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

const g = grpcStatus;

export const errorCodes = {
  RIDE_INVALID_INPUT: spec(400, g.invalidArgument, false, 'The input breaks a rule'),
  RIDE_MALFORMED: spec(400, g.invalidArgument, false, 'The message cannot be decoded'),
  RIDE_UNKNOWN_MESSAGE: spec(400, g.invalidArgument, false, 'The message is of no known kind'),
  RIDE_UNAUTHENTICATED: spec(401, g.unauthenticated, false, 'Sign-in is missing or not valid', 4501),
  RIDE_TOKEN_EXPIRED: spec(401, g.unauthenticated, false, 'The token has expired', 4502),
  RIDE_FORBIDDEN: spec(403, g.permissionDenied, false, 'The caller may not do this', 4503),
  RIDE_NOT_FOUND: spec(404, g.notFound, false, 'There is no such resource'),
  RIDE_METHOD_NOT_ALLOWED: spec(405, g.unimplemented, false, 'The resource has no such method'),
  RIDE_ILLEGAL_TRANSITION: spec(409, g.failedPrecondition, false, 'The state does not allow this step'),
  RIDE_TOO_FAR: spec(409, g.failedPrecondition, false, 'The driver is not where this step is made'),
  RIDE_CONFLICT: spec(409, g.aborted, true, 'Another change came first'),
  RIDE_ALREADY_EXISTS: spec(409, g.alreadyExists, false, 'The resource exists already'),
  RIDE_OFFER_CLOSED: spec(409, g.failedPrecondition, false, 'The offer is no longer open'),
  RIDE_QUOTE_EXPIRED: spec(409, g.failedPrecondition, false, 'The quoted price no longer holds'),
  RIDE_QUOTE_USED: spec(409, g.alreadyExists, false, 'The quote has been booked already'),
  RIDE_PROOF_REFUSED: spec(409, g.failedPrecondition, false, 'It is not proved that the parcel was delivered'),
  RIDE_SEATS_TAKEN: spec(409, g.failedPrecondition, false, 'Not that many seats are free'),
  RIDE_DRIVER_BUSY: spec(409, g.failedPrecondition, false, 'The driver is on another trip'),
  RIDE_PRECONDITION_FAILED: spec(412, g.failedPrecondition, false, 'The version is not the current one'),
  RIDE_PAYLOAD_TOO_LARGE: spec(413, g.resourceExhausted, false, 'The payload is larger than allowed', 4504),
  RIDE_UNSUPPORTED_MEDIA_TYPE: spec(415, g.invalidArgument, false, 'The content type is not supported'),
  RIDE_IDEMPOTENCY_MISMATCH: spec(422, g.failedPrecondition, false, 'The idempotency key was used for another body'),
  RIDE_RATE_LIMITED: spec(429, g.resourceExhausted, true, 'Too many requests'),
  RIDE_INTERNAL: spec(500, g.internal, true, 'The server failed'),
  RIDE_UNAVAILABLE: spec(503, g.unavailable, true, 'A part that this needs is away'),
  RIDE_DRAINING: spec(503, g.unavailable, true, 'The server is draining', 4000),
  RIDE_HEARTBEAT_MISSED: spec(408, g.deadlineExceeded, true, 'No message within the heartbeat timeout', 4001),
  RIDE_SLOW_READER: spec(
    503,
    g.resourceExhausted,
    true,
    'The client reads too slowly; resume from the last offset',
    4002,
  ),
  RIDE_TOO_MANY_SESSIONS: spec(503, g.resourceExhausted, true, 'The server holds as many sessions as it may', 4003),
  RIDE_USER_SESSIONS: spec(429, g.resourceExhausted, true, 'The user has as many sessions as he may', 4004),
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof errorCodes;

/** A session that ended with this code is not taken up again. */
export function isFinal(code: ErrorCode): boolean {
  const { close = 0 }: { close?: number } = errorCodes[code];
  return close >= 4500;
}

export interface RideErrorDetails {
  /** The input field at fault, as on the wire: `pickup.lat`. */
  field?: string;
  /** The rule it broke: `a number from -90 to 90`. */
  rule?: string;
  /** Wait before a repeat, milliseconds. */
  retryAfterMs?: number;
  /** Facts for the caller, e.g. who won a race and at which version. */
  facts?: Record<string, string | number | boolean | null>;
  cause?: unknown;
}

/** The one error type that crosses layers; anything else is a defect and becomes RIDE_INTERNAL at the edge. */
export class RideError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly rule: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly facts: RideErrorDetails['facts'];

  constructor(code: ErrorCode, message: string, details: RideErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'RideError';
    this.code = code;
    this.field = details.field;
    this.rule = details.rule;
    this.retryAfterMs = details.retryAfterMs;
    this.facts = details.facts;
  }

  get spec(): ErrorSpec {
    return errorCodes[this.code];
  }
}

/** Refusal of one input field: names the field and the rule. */
export function invalidInput(field: string, rule: string): RideError {
  return new RideError('RIDE_INVALID_INPUT', `${field} must be ${rule}`, { field, rule });
}

/** There is no such thing. @param what `trip`; `field` is where its id was given */
export function notFound(what: string, id: string, field = `${what}_id`): RideError {
  return new RideError('RIDE_NOT_FOUND', `There is no ${what} ${id}`, { field, rule: `the id of a ${what}` });
}

/** Facts for the transports that carry texts; what is null is left out. */
export function factTexts(facts: NonNullable<RideErrorDetails['facts']>): Record<string, string> {
  const known = Object.entries(facts).filter(([, value]) => value !== null);
  return Object.fromEntries(known.map(([name, value]) => [name, String(value)]));
}

/** Any thrown value as a RideError; what is not one becomes RIDE_INTERNAL and keeps its cause for the log. */
export function asRideError(error: unknown): RideError {
  if (error instanceof RideError) return error;
  return new RideError('RIDE_INTERNAL', 'The server failed', { cause: error });
}
