/** What a refusal is on gRPC: a status, and trailers that say what the problem document says on REST. */
import { Metadata, type status } from '@grpc/grpc-js';
import { errorCodes, factTexts, type RideError } from '../errors.ts';

export interface Status {
  code: status;
  details: string;
  metadata: Metadata | null;
}

type Refusal = Pick<RideError, 'code' | 'message'> &
  Partial<Pick<RideError, 'field' | 'rule' | 'retryAfterMs' | 'facts'>>;

/** Trailers `ride-code`, `ride-field`, `ride-rule`, `ride-retry-after-ms`, and `ride-facts` as JSON: what the problem document says on REST. */
export function statusOf(error: Refusal): Status {
  const metadata = new Metadata();
  const set = (name: string, value: string | number | undefined): void => {
    // A trailer holds printable ASCII only.
    if (value !== undefined) metadata.set(`ride-${name}`, String(value).replace(/[^\x20-\x7e]/g, '?'));
  };
  set('code', error.code);
  set('field', error.field);
  set('rule', error.rule);
  set('retry-after-ms', error.retryAfterMs);
  if (error.facts) set('facts', JSON.stringify(factTexts(error.facts)));
  // What gRPC's own retries heed (gRPC proposal A6).
  if (error.retryAfterMs !== undefined) metadata.set('grpc-retry-pushback-ms', String(error.retryAfterMs));
  return { code: errorCodes[error.code].grpc as status, details: error.message, metadata };
}
