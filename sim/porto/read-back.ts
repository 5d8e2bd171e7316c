/** Reads acknowledged positions back from the other node, at once, and measures when the answer is right. */
import type { RestClient } from '../clients/rest.ts';
import type { SentPosition } from './driver.ts';

export interface ReadBack {
  /** Ack to the end of the first right answer, milliseconds, one for each position. */
  delaysMs: number[];
  /** Positions whose first answer was an older one. */
  late: number;
  /** Positions that were never read right, with what was read. */
  wrong: string[];
}

/** Longest that a position may take to be readable before it counts as wrong. */
const PATIENCE_MS = 2_000;

export function createReadBack(rest: RestClient, tokenOf: (tripId: string) => string) {
  const result: ReadBack = { delaysMs: [], late: 0, wrong: [] };
  const underWay = new Set<Promise<void>>();

  async function read(sent: SentPosition): Promise<void> {
    const call = { method: 'GET', path: `/api/v1/trips/${sent.tripId}/location`, token: tokenOf(sent.tripId) } as const;
    let answer = '';
    for (let tries = 0; performance.now() - sent.ackedAtMs < PATIENCE_MS; tries++) {
      const { status, body } = await rest.ask(call);
      const isIt = body.lat === sent.lat && body.lng === sent.lng && body.recorded_at_ms === sent.recordedAtMs;
      const isNewer = Number(body.recorded_at_ms) > sent.recordedAtMs;
      if (status === 200 && body.driver_id === sent.driverId && (isIt || isNewer)) {
        result.delaysMs.push(performance.now() - sent.ackedAtMs);
        if (tries > 0) result.late += 1;
        return;
      }
      answer = `${status} ${JSON.stringify(body)}`;
    }
    result.wrong.push(`${sent.tripId}: sent ${sent.lat}, ${sent.lng} at ${sent.recordedAtMs}; read ${answer}`);
  }

  return {
    result,
    check(sent: SentPosition): void {
      const reading = read(sent)
        .catch((error: unknown) => {
          result.wrong.push(`${sent.tripId}: ${String(error)}`);
        })
        .finally(() => underWay.delete(reading));
      underWay.add(reading);
    },
    async settled(): Promise<void> {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}
