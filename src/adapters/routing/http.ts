/**
 * How a routing engine is asked over HTTP: a time limit for the question as a whole, a bounded number of requests at once and of
 * those that wait, and a repeat when the engine closes a connection that it had kept open (OSRM does after 512 requests).
 * Every question only reads, so a repeat is safe.
 */
import { RideError } from '../../errors.ts';
import type { RoutingMeter } from '../../ports/routing.ts';

export interface EngineAddress {
  /** With or without a path before the engine's own. */
  url: string;
  timeoutMs: number;
  /** Requests at once; eight times as many may wait. */
  maxInFlight: number;
  meter: Pick<RoutingMeter, 'asked'>;
}

/** Resolves the JSON object that came, whatever the status below 500: engines say what is wrong in it. */
export type Ask = (path: string, body?: object) => Promise<object>;

const WAITING_PER_SLOT = 8;
/** Of several kept connections each may have reached its end. */
const REPEATS = 3;
/** The other side is gone, not the question wrong: undici's own code, and Node's. */
const CLOSED: ReadonlySet<unknown> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

/** Refused here because too many ask: says nothing about the engine. */
export class EngineBusy extends RideError {
  constructor(name: string) {
    super('RIDE_UNAVAILABLE', `Too many questions wait for ${name}`, { retryAfterMs: 100 });
  }
}

/** Asks `name`: GET, or POST of a JSON body. Rejects with RIDE_UNAVAILABLE when there is no JSON answer in time. */
export function createAsk(name: string, { url, timeoutMs, maxInFlight, meter }: EngineAddress): Ask {
  const base = url.replace(/\/+$/, '');
  const slots = createSlots(maxInFlight, maxInFlight * WAITING_PER_SLOT);

  async function once(path: string, body: object | undefined, signal: AbortSignal): Promise<object> {
    const response = await fetch(`${base}${path}`, {
      signal,
      redirect: 'error',
      ...(body ? { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {}),
    });
    if (response.status >= 500) throw new Error(`status ${response.status}: ${(await response.text()).slice(0, 200)}`);
    const answer: unknown = await response.json();
    if (typeof answer !== 'object' || answer === null) throw new Error(`no JSON object: ${JSON.stringify(answer)}`);
    return answer;
  }

  async function repeated(path: string, body: object | undefined, signal: AbortSignal): Promise<object> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await once(path, body, signal);
      } catch (error) {
        if (attempt === REPEATS || signal.aborted || !wasClosed(error)) throw error;
      }
    }
  }

  return async (path, body) => {
    const startedAt = performance.now();
    const seconds = (): number => (performance.now() - startedAt) / 1000;
    const signal = AbortSignal.timeout(timeoutMs);
    const leave = slots.enter(signal);
    if (leave === null) {
      meter.asked(name, 'busy', seconds());
      throw new EngineBusy(name);
    }
    try {
      await leave.entered;
      const answer = await repeated(path, body, signal);
      meter.asked(name, 'ok', seconds());
      return answer;
    } catch (cause) {
      meter.asked(name, 'failed', seconds());
      throw away(name, cause);
    } finally {
      leave.leave();
    }
  };
}

/** No answer, or one that cannot be read. */
export function away(name: string, cause: unknown): RideError {
  return new RideError('RIDE_UNAVAILABLE', `The routing engine ${name} does not answer`, { cause, retryAfterMs: 1000 });
}

function wasClosed(error: unknown): boolean {
  for (let e = error; e instanceof Error; e = e.cause) if (CLOSED.has((e as NodeJS.ErrnoException).code)) return true;
  return false;
}

interface Place {
  /** Resolved: it is this one's turn. Rejects when its time is up before. */
  entered: Promise<void>;
  /** Gives the place back, also one in the queue. */
  leave(): void;
}

/** First come, first served. */
function createSlots(size: number, mostWaiting: number) {
  let used = 0;
  const queue = new Set<() => void>();

  /** To the next in the queue, if there is one. */
  function free(): void {
    used--;
    const [first] = queue;
    if (!first) return;
    queue.delete(first);
    first();
  }

  return {
    /** Null: there is no room, not even to wait. */
    enter(signal: AbortSignal): Place | null {
      if (used < size) {
        used++;
        return { entered: Promise.resolve(), leave: free };
      }
      if (queue.size >= mostWaiting) return null;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      let mine = false;
      const turn = (): void => {
        used++;
        mine = true;
        resolve();
      };
      queue.add(turn);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      return {
        entered: promise,
        leave() {
          queue.delete(turn);
          if (mine) free();
        },
      };
    },
  };
}
