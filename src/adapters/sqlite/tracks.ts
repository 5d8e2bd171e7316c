/**
 * Tracks in SQLite. A point is a row of a table clustered by (subject, hour, time), which is what a bucket document is
 * for elsewhere: an append writes the few pages at the subject's end instead of a whole hour again.
 */
import type { TrackPoint, TrackStore } from '../../ports/store.ts';
import { BUCKET_MS, checkTrack } from '../store/rules.ts';
import type { Link } from './link.ts';
import type { SqlValue } from './protocol.ts';

/** Buckets removed by one write, so that retention does not hold the lock for long. */
const REMOVE_AT_ONCE = 100;

export function createTracks(link: Link): TrackStore {
  return {
    async append(subjectId, points) {
      checkTrack(subjectId, points);
      if (points.length === 0) return;
      const rows = points.map((p) => [startOf(p.at), p.at, p.lat, p.lng, p.speedMps, p.headingDeg, p.accuracyM]);
      const starts = [...new Set(points.map((point) => startOf(point.at)))];
      const value = (i: number) => `value ->> ${i}`;
      await link.write(false, [
        [
          'INSERT OR IGNORE INTO track_buckets (subject, start) SELECT ?, value FROM json_each(?)',
          subjectId,
          JSON.stringify(starts),
        ],
        [
          `INSERT OR REPLACE INTO track_points (subject, start, at, lat, lng, speed_mps, heading_deg, accuracy_m)
            SELECT ?, ${[0, 1, 2, 3, 4, 5, 6].map(value).join(', ')} FROM json_each(?)`,
          subjectId,
          JSON.stringify(rows),
        ],
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
