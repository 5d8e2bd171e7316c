/** REST of a client that does not give up: what was not answered is asked again, which every call allows. */
import type { Message } from './inbox.ts';

const TIMEOUT_MS = 10_000;
const PAUSE_MS = 50;
const ATTEMPTS = 600;

export type PatientRest = (
  method: string,
  path: string,
  token?: string,
  body?: object,
  idempotencyKey?: string,
) => Promise<{ status: number; body: Message }>;

/** @param http host:port */
export function patientRest(http: string): PatientRest {
  return async (method, path, token, body, idempotencyKey) => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const headers = {
        'content-type': 'application/json',
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(idempotencyKey ? { 'idempotency-key': idempotencyKey } : {}),
      };
      try {
        const answer = await fetch(`http://${http}${path}`, {
          method,
          headers,
          signal: AbortSignal.timeout(TIMEOUT_MS),
          ...(method === 'GET' ? {} : { body: JSON.stringify(body ?? {}) }),
        });
        const text = await answer.text();
        if (answer.status < 500) return { status: answer.status, body: JSON.parse(text) };
      } catch {
        // No answer: the connection ended, or no node was ready.
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    throw new Error(`${method} ${path}: no answer`);
  };
}
