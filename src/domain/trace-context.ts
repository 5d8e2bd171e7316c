/** The headers of W3C's trace context, as they come from outside. */
import type { Trace } from '../ports/tracing.ts';

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;
const NONE = /^0+$/;
/** What a vendor may need is far less; what is longer is left out, as the recommendation allows. */
const TRACESTATE_MAX = 512;
const PRINTABLE = /^[ -~]+$/;

/** The trace id of a `traceparent`; null when it is none: of an unknown shape, of version ff, or with an id of noughts. */
export function traceIdOf(traceparent: unknown): string | null {
  if (typeof traceparent !== 'string' || traceparent.length > 256) return null;
  const [, version, traceId, spanId, more] = TRACEPARENT.exec(traceparent) ?? [];
  if (!traceId || !spanId || version === 'ff' || NONE.test(traceId) || NONE.test(spanId)) return null;
  // Version 00 ends here; later ones may go on.
  return version === '00' && more !== undefined ? null : traceId;
}

/** What a caller's headers say; without a valid `traceparent` nothing of them goes on. */
export function traceOf(traceparent: unknown, tracestate: unknown): Omit<Trace, 'corrId'> {
  if (typeof traceparent !== 'string' || traceIdOf(traceparent) === null) return {};
  const isFit = typeof tracestate === 'string' && tracestate.length <= TRACESTATE_MAX && PRINTABLE.test(tracestate);
  return { traceparent, ...(isFit ? { tracestate } : {}) };
}

/** As facts of a line of a log. */
export function traceFacts(trace: Trace | undefined): { corr_id?: string; trace_id?: string } {
  if (!trace) return {};
  const traceId = traceIdOf(trace.traceparent);
  return { corr_id: trace.corrId, ...(traceId ? { trace_id: traceId } : {}) };
}
