/**
 * Tracks in SQLite. A point is a row of a table clustered by (subject, hour, time), which is what a bucket document is
 * for elsewhere: an append writes the few pages at the subject's end instead of a whole hour again.
 */
import type { TrackPoint, TrackStore } from '../../ports/store.ts';
import { BUCKET_MS, checkTrack } from '../store/rules.ts';
import type { Link } from './link.ts';
import type { SqlValue, Statement } from './protocol.ts';

/** Buckets removed by one write, so that retention does not hold the lock for long. */
const REMOVE_AT_ONCE = 100;
/** Rows that one statement inserts. */
const MOST_ROWS = 64;

export function createTracks(link: Link): TrackStore {
  return {
    async append(tracks) {
      const buckets: SqlValue[] = [];
      const rows: SqlValue[] = [];
      for (const [subject, points] of tracks) {
        checkTrack(subject, points);
        for (const start of new Set(points.map(({ at }) => startOf(at)))) buckets.push(start, subject);
        for (const p of points) {
          const { speedMps = null, headingDeg = null, accuracyM = null } = p;
          rows.push(subject, startOf(p.at), p.at, p.lat, p.lng, speedMps, headingDeg, accuracyM);
        }
      }
      if (rows.length === 0) return;
      await link.write(false, [
        ...insert('INSERT OR IGNORE INTO track_buckets (start, subject)', 2, buckets),
        ...insert(
          'INSERT OR REPLACE INTO track_points (subject, start, at, lat, lng, speed_mps, heading_deg, accuracy_m)',
          8,
          rows,
        ),
      ]);
    },

    async read(subjectId, fromMs, toMs) {
      const sql = `SELECT at, lat, lng, speed_mps, heading_deg, accuracy_m FROM track_points
        WHERE subject = ? AND start >= ? AND start < ? AND at >= ? AND at < ? ORDER BY start, at`;
      return (await link.rows([sql, subjectId, startOf(fromMs), toMs, fromMs, toMs])).map(asPoint);
    },

    async removeBefore(beforeMs) {
      const gone = 'SELECT start, subject FROM track_buckets WHERE start <= ? ORDER BY start, subject LIMIT ?';
      const last = beforeMs - BUCKET_MS;
      let removed = 0;
      for (let count = REMOVE_AT_ONCE; count === REMOVE_AT_ONCE; removed += count) {
        count = await link.write(false, [
          [`DELETE FROM track_points WHERE (start, subject) IN (${gone})`, last, REMOVE_AT_ONCE],
          [`DELETE FROM track_buckets WHERE (start, subject) IN (${gone})`, last, REMOVE_AT_ONCE],
        ]);
      }
      return removed;
    },
  };
}

/** Many rows by few statements, whose sizes are powers of two, so that they stay prepared. */
function insert(into: string, columns: number, values: readonly SqlValue[]): Statement[] {
  const row = `(${Array(columns).fill('?').join(', ')})`;
  const statements: Statement[] = [];
  let rows = MOST_ROWS;
  for (let at = 0; at < values.length; at += rows * columns) {
    while (rows * columns > values.length - at) rows /= 2;
    const sql = `${into} VALUES ${Array(rows).fill(row).join(', ')}`;
    statements.push([sql, ...values.slice(at, at + rows * columns)]);
  }
  return statements;
}

function startOf(at: number): number {
  return Math.floor(at / BUCKET_MS) * BUCKET_MS;
}

function asPoint(row: SqlValue[]): TrackPoint {
  const [at, lat, lng, speedMps, headingDeg, accuracyM] = row as number[];
  const point: TrackPoint = { at: at!, lat: lat!, lng: lng! };
  if (speedMps != null) point.speedMps = speedMps;
  if (headingDeg != null) point.headingDeg = headingDeg;
  if (accuracyM != null) point.accuracyM = accuracyM;
  return point;
}
