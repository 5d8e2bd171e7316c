/** Reads the taxi traces of Porto (UCI, doi 10.24432/C55W25): one row a trip, a GPS point every 15 seconds. */
import { readCsvFile } from '../csv.ts';
import { distanceM, type Point } from '../geo.ts';
import type { Refusal } from '../trips-csv.ts';

export interface Trace {
  row: number;
  taxi: string;
  /** Of the first point, epoch milliseconds. */
  atMs: number;
  points: Point[];
  /** Where the trip of this trace goes: its last point, or for a round trip the farthest one. */
  dropoff: Point;
}

/** Seconds between two points. */
export const POINT_EVERY_S = 15;
/** Nearer than this, a ride leads nowhere. */
const MIN_TRIP_M = 10;

/** Traces that are trips, and what was wrong with the others. Throws when the file has not the columns. */
export async function readTraces(
  file: string,
  limit = Number.POSITIVE_INFINITY,
): Promise<{ traces: Trace[]; refusals: Refusal[] }> {
  const traces: Trace[] = [];
  const refusals: Refusal[] = [];
  let columns: { taxi: number; at: number; line: number } | undefined;
  for await (const { row, fields } of readCsvFile(file)) {
    if (!columns) {
      columns = {
        taxi: fields.indexOf('TAXI_ID'),
        at: fields.indexOf('TIMESTAMP'),
        line: fields.indexOf('POLYLINE'),
      };
      if (Object.values(columns).some((index) => index < 0))
        throw new Error(`${file} has not all of the columns TAXI_ID, TIMESTAMP and POLYLINE`);
      continue;
    }
    if (traces.length >= limit) break;
    const points = readLine(fields[columns.line] ?? '');
    const first = points?.[0];
    const atMs = 1000 * Number(fields[columns.at]);
    if (!points || !first)
      refusals.push({ row, field: 'POLYLINE', reason: points ? 'no points' : 'not a list of [lng, lat]' });
    else {
      const farthest = points.reduce((best, p) => (distanceM(first, p) > distanceM(first, best) ? p : best), first);
      const last = points.at(-1)!;
      const dropoff = distanceM(first, last) >= MIN_TRIP_M ? last : farthest;
      if (distanceM(first, dropoff) < MIN_TRIP_M)
        refusals.push({ row, field: 'POLYLINE', reason: 'the taxi never moved' });
      else if (!(atMs > 0)) refusals.push({ row, field: 'TIMESTAMP', reason: 'not a time' });
      else traces.push({ row, taxi: fields[columns.taxi]!, atMs, points, dropoff });
    }
  }
  return { traces, refusals };
}

function readLine(text: string): Point[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const isPair = (pair: unknown) => Array.isArray(pair) && pair.length === 2 && pair.every(Number.isFinite);
  if (!Array.isArray(value) || !value.every(isPair)) return undefined;
  return (value as [number, number][]).map(([lng, lat]) => ({ lat, lng }));
}
