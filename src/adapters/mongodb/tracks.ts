/**
 * Tracks in MongoDB: one document an hour and subject. Points are fields named by their time, so that appending is one
 * upsert that needs no reading, a repeat writes the same field again, and two writers never undo each other.
 */
import type { AnyBulkWriteOperation, Document } from 'mongodb';
import { parseId } from '../../domain/ids.ts';
import type { TrackPoint, TrackStore } from '../../ports/store.ts';
import { BUCKET_MS, checkTrack } from '../store/rules.ts';
import type { Connection } from './connection.ts';
import type { MongoIndex } from './documents.ts';
import { violatedIndex } from './errors.ts';

/** The underscore keeps it apart from declared collections. */
export const TRACKS = 'track_buckets';

export const TRACK_INDEXES: readonly MongoIndex[] = [
  { key: { subject: 1, createdAt: 1 }, name: 'subject' },
  { key: { createdAt: 1 }, name: 'ended' },
  { key: { region: 1, createdAt: 1, _id: 1 }, name: 'shard' },
];

interface Bucket extends Document {
  _id: string;
  /** That of the subject: with `createdAt`, the start of the hour, it is the shard key. */
  region: string;
  createdAt: number;
  subject: string;
  points: Record<string, Omit<TrackPoint, 'at'>>;
}

export function createTracks(connection: Connection, region: string): TrackStore {
  const buckets = () => connection.db.collection<Bucket>(TRACKS);
  const regionOf = (subject: string): string => parseId(subject)?.region ?? region;

  async function write(operations: AnyBulkWriteOperation<Bucket>[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await buckets().bulkWrite(operations, { ordered: false });
        return;
      } catch (error) {
        // Another writer made a bucket between an upsert's look and its insert: now it is there to be updated.
        if (violatedIndex(error) !== 'id' || attempt === 3) throw error;
      }
    }
  }

  return {
    async append(tracks) {
      const operations: AnyBulkWriteOperation<Bucket>[] = [];
      for (const [subject, points] of tracks) {
        checkTrack(subject, points);
        const byStart = new Map<number, Record<string, unknown>>();
        for (const { at, ...measured } of points) {
          const start = startOf(at);
          if (!byStart.has(start)) byStart.set(start, {});
          byStart.get(start)![`points.${at}`] = measured;
        }
        for (const [start, fields] of byStart) {
          const filter = { _id: `${subject}:${start}`, region: regionOf(subject), createdAt: start };
          operations.push({ updateOne: { filter, update: { $set: fields, $setOnInsert: { subject } }, upsert: true } });
        }
      }
      if (operations.length > 0) await connection.run(TRACKS, () => write(operations));
    },

    async read(subjectId, fromMs, toMs) {
      const filter = {
        subject: subjectId,
        region: regionOf(subjectId),
        createdAt: { $gte: startOf(fromMs), $lt: toMs },
      };
      const found = await connection.run(TRACKS, () => buckets().find(filter).toArray());
      return found
        .flatMap((bucket) => Object.entries(bucket.points).map(([at, measured]) => ({ at: Number(at), ...measured })))
        .filter((point) => point.at >= fromMs && point.at < toMs)
        .sort((a, b) => a.at - b.at);
    },

    async removeBefore(beforeMs) {
      const filter = { createdAt: { $lte: beforeMs - BUCKET_MS } };
      return (await connection.run(TRACKS, () => buckets().deleteMany(filter))).deletedCount;
    },
  };
}

function startOf(at: number): number {
  return Math.floor(at / BUCKET_MS) * BUCKET_MS;
}
