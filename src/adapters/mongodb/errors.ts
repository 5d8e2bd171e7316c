/** What the driver throws, in the port's terms. */
import {
  MongoBulkWriteError,
  MongoClientClosedError,
  MongoExpiredSessionError,
  MongoNetworkError,
  MongoNotConnectedError,
  MongoOperationTimeoutError,
  MongoServerError,
  MongoSystemError,
  MongoTopologyClosedError,
  MongoWriteConcernError,
} from 'mongodb';
import { RideError } from '../../errors.ts';

const DUPLICATE_KEY = 11_000;
const RETRY_AFTER_MS = 1000;

/**
 * Server codes that mean "not this one, or not now": host unreachable or not found, network timeout, shutting down,
 * stepping down, not primary, interrupted by either, exceeded time limit, could not satisfy the write concern.
 */
const AWAY = new Set([6, 7, 50, 64, 89, 91, 100, 133, 134, 189, 262, 9001, 10_107, 11_600, 11_602, 13_435, 13_436]);

/** Sign-in is refused, or may not do this: nothing the caller did, and nothing that this process can serve. */
const FORBIDDEN = new Set([13, 18]);

export function unavailable(message: string, cause?: unknown): RideError {
  return new RideError('RIDE_UNAVAILABLE', message, { retryAfterMs: RETRY_AFTER_MS, cause });
}

/** Of the socket itself: a write that fails as the server goes down comes as it is, in no error of the driver. */
const SOCKET_ERRORS = new Set(['ECONNRESET', 'ECONNREFUSED', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOTCONN']);

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');

function isAway(error: unknown): boolean {
  if (SOCKET_ERRORS.has(codeOf(error))) return true;
  if (error instanceof MongoNetworkError || error instanceof MongoSystemError) return true;
  if (error instanceof MongoWriteConcernError || error instanceof MongoOperationTimeoutError) return true;
  if (error instanceof MongoClientClosedError || error instanceof MongoNotConnectedError) return true;
  if (error instanceof MongoTopologyClosedError || error instanceof MongoExpiredSessionError) return true;
  if (!(error instanceof MongoServerError)) return false;
  const code = Number(error.code);
  return AWAY.has(code) || FORBIDDEN.has(code) || error.hasErrorLabel('RetryableWriteError');
}

/**
 * Name of the index in the way as it was declared, `id` for the document's own; null when `error` is of another kind.
 */
export function violatedIndex(error: unknown): string | null {
  if (!(error instanceof MongoServerError || error instanceof MongoBulkWriteError)) return null;
  if (Number(error.code) !== DUPLICATE_KEY) return null;
  const name = /index: (\S+)/.exec(error.message)?.[1] ?? '';
  return name === '_id_' ? 'id' : name;
}

/** `collection`: what the caller knows it by. */
export function asStoreError(error: unknown, collection: string): unknown {
  const index = violatedIndex(error);
  if (index !== null) {
    return new RideError('RIDE_ALREADY_EXISTS', `${index} of ${collection} is taken`, {
      facts: { index },
      cause: error,
    });
  }
  if (isAway(error)) return unavailable(`MongoDB: ${(error as Error).message}`, error);
  return error;
}

/** A connection string that is none. Neither it nor what the driver says of it goes along: both hold the password. */
export function urlError(): RideError {
  const rule = 'a MongoDB connection string';
  return new RideError('RIDE_INVALID_INPUT', `the address must be ${rule}`, { field: 'url', rule });
}
