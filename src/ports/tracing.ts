/**
 * Whence what is under way came: the correlation id of the call that began it, and the W3C trace context that the caller gave
 * (https://www.w3.org/TR/trace-context/). It goes on as it came: this server reports no spans of its own, so what follows hangs from the
 * caller's span.
 */
export interface Trace {
  corrId: string;
  /** `00-<trace id>-<span id>-<flags>`; missing when the caller gave none. */
  traceparent?: string;
  tracestate?: string;
}

export interface Tracing {
  /** Of what is under way here; undefined for what the server does of itself. */
  current(): Trace | undefined;
  /** Runs something, and all that it leads to, as part of a trace. */
  within<T>(trace: Trace, run: () => T): T;
  /** Runs something that belongs to no trace, whoever happens to begin it. */
  apart<T>(run: () => T): T;
}
