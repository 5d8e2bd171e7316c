/**
 * Flags of what looks like cheating, for people to look at. One flag a user and kind, so that a busy cheat is one line with a
 * count; what a user did lately is one bounded document, from which the rules judge.
 */
import { notFound } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Publisher } from '../../ports/publisher.ts';
import type { Collection, CollectionSpec, Filter, OutboxEvent, Page, StoredDocument } from '../../ports/store.ts';
import { checkVersion, LOST, put, untilWritten } from '../documents/writing.ts';
import { distanceM, type LatLng } from '../geo.ts';
import { type Ids, shardKeyOf } from '../ids.ts';
import type { Relay } from '../outbox/relay.ts';
import type { TripEvent } from '../trips/rules.ts';
import type { Trip } from '../trips/trip.ts';
import { type AnomalyKind, DAY_MS, type Deed, type Finding, findings, remember } from './rules.ts';
import type { AnomalyFlag, FlagStatus } from './schemas.ts';

export const anomalyCollection: CollectionSpec<AnomalyFlag> = {
  name: 'anomalies',
  indexes: [
    { name: 'status_last', fields: ['status', 'lastAt'] },
    { name: 'subject', fields: ['subjectId', 'lastAt'] },
    { name: 'last', fields: ['lastAt'] },
  ],
};

/** What a user did lately. */
export interface Conduct extends StoredDocument {
  deeds: readonly Deed[];
}

export const conductCollection: CollectionSpec<Conduct> = { name: 'conduct', indexes: [] };

export interface AnomaliesDeps {
  flags: Collection<AnomalyFlag>;
  conduct: Collection<Conduct>;
  relay: () => Relay;
  publisher: Publisher;
  clock: Clock;
  ids: Ids;
  /** Counts a flag that was opened. */
  onFlag(kind: AnomalyKind): void;
}

export interface Subject {
  userId: string;
  role: 'rider' | 'driver';
  city: string;
}

export interface FlagQuery {
  status?: FlagStatus;
  kind?: AnomalyKind;
  subjectId?: string;
  pageSize: number;
  pageToken?: string;
}

const EVIDENCE_MAX = 10;
/** The same finding within this only counts. */
const REPEAT_MS = 600_000;

export type Anomalies = ReturnType<typeof createAnomalies>;

export function createAnomalies(deps: AnomaliesDeps) {
  const { flags, clock, ids } = deps;

  function opened(flag: AnomalyFlag): OutboxEvent {
    return { id: ids.next('evt'), seq: flag.seq, type: 'anomaly.flagged', at: clock.now(), data: { ...flag } };
  }

  /** What a finding makes of the flag; null when it changes nothing. */
  function flagged(stored: AnomalyFlag | null, id: string, subject: Subject, finding: Finding): AnomalyFlag | null {
    const now = clock.now();
    const entry = { at: now, score: finding.score, facts: finding.evidence };
    if (!stored) {
      return {
        id,
        ...shardKeyOf(id, ids.region, now),
        version: 1,
        kind: finding.kind,
        subjectId: subject.userId,
        subjectRole: subject.role,
        city: subject.city,
        status: 'open',
        count: 1,
        score: finding.score,
        firstAt: now,
        lastAt: now,
        evidence: [entry],
        seq: 1,
      };
    }
    const isReviewed = stored.status !== 'open';
    // People have looked: the same deeds are no news for a day.
    if (isReviewed && now - (stored.reviewedAt ?? 0) < DAY_MS) return null;
    if (!isReviewed && now - stored.lastAt < REPEAT_MS && finding.score <= stored.score) return null;
    return {
      ...stored,
      version: stored.version + 1,
      status: 'open',
      count: stored.count + 1,
      score: isReviewed ? finding.score : Math.max(stored.score, finding.score),
      lastAt: now,
      evidence: [...stored.evidence, entry].slice(-EVIDENCE_MAX),
      seq: isReviewed ? stored.seq + 1 : stored.seq,
    };
  }

  /** Raises a flag or adds to it. @throws RideError RIDE_CONFLICT, RIDE_UNAVAILABLE */
  function flag(subject: Subject, finding: Finding): Promise<void> {
    const id = `${finding.kind}:${subject.userId}`;
    return untilWritten('flag', async () => {
      const stored = await flags.get(id);
      const next = flagged(stored, id, subject, finding);
      if (!next) return;
      const isNew = stored?.status !== 'open';
      const events = isNew ? [opened(next)] : [];
      if (!(await put(flags, stored, next, events))) return LOST;
      deps.relay().kick(id, events);
      if (isNew) deps.onFlag(finding.kind);
    });
  }

  /** Remembers a deed and flags what it shows. Safe to repeat. @throws RideError RIDE_CONFLICT, RIDE_UNAVAILABLE */
  async function did(subject: Subject, deed: Deed): Promise<void> {
    const id = subject.userId;
    const deeds = await untilWritten('flag', async () => {
      const stored = await deps.conduct.get(id);
      const deeds = remember(stored?.deeds ?? [], deed);
      if (deeds === stored?.deeds) return deeds;
      const known = stored ?? { id, ...shardKeyOf(id, ids.region, clock.now()), version: 0 };
      return (await put(deps.conduct, stored, { ...known, version: known.version + 1, deeds })) ? deeds : LOST;
    });
    for (const finding of findings(id, deeds)) await flag(subject, finding);
  }

  return {
    flag,
    did,

    /** What an event of a trip says of its two sides. `endedAt`: where the driver was last, if it is known. */
    async onTripEvent(trip: Trip, event: TripEvent, endedAt: LatLng | null): Promise<void> {
      const { riderId, driverId } = trip;
      const { city } = trip.source;
      const rider: Subject = { userId: riderId, role: 'rider', city };
      const of = { id: event.id, at: event.at, tripId: trip.id };
      if (event.type === 'completed' && driverId) {
        const ride = {
          ...of,
          type: 'completed' as const,
          distanceM: Math.round(distanceM(trip.source, endedAt ?? trip.destination)),
          ...(trip.startedAt === undefined ? {} : { durationS: Math.round((event.at - trip.startedAt) / 1000) }),
        };
        await did(rider, { ...ride, counterpartId: driverId });
        if (driverId !== riderId)
          await did({ userId: driverId, role: 'driver', city }, { ...ride, counterpartId: riderId });
      }
      // Only what a driver was on his way for.
      if (event.type === 'cancelled' && event.actorId === riderId && driverId)
        await did(rider, { ...of, type: 'cancelled_late', counterpartId: driverId });
      if (event.type === 'driver_cancelled' && event.driverId)
        await did({ userId: event.driverId, role: 'driver', city }, { ...of, type: 'gave_up', counterpartId: riderId });
    },

    /** @throws RideError RIDE_NOT_FOUND */
    async get(id: string): Promise<AnomalyFlag> {
      const found = await flags.get(id);
      if (found) return found;
      throw notFound('flag', id, 'anomaly_id');
    },

    list(query: FlagQuery): Promise<Page<AnomalyFlag>> {
      const where: Record<string, Filter[string]> = {};
      if (query.status) where.status = query.status;
      if (query.kind) where.kind = query.kind;
      if (query.subjectId) where.subjectId = query.subjectId;
      return flags.page({
        where,
        orderBy: 'lastAt',
        pageSize: query.pageSize,
        pageToken: query.pageToken,
      });
    },

    /** Someone looked at it. @throws RideError RIDE_NOT_FOUND, RIDE_PRECONDITION_FAILED, RIDE_CONFLICT */
    review(
      id: string,
      reviewedBy: string,
      verdict: 'confirmed' | 'dismissed',
      note: string | undefined,
      expectedVersion?: number,
    ): Promise<AnomalyFlag> {
      return untilWritten('flag', async () => {
        const stored = await this.get(id);
        checkVersion('flag', stored, expectedVersion, { status: stored.status });
        const next: AnomalyFlag = {
          ...stored,
          version: stored.version + 1,
          status: verdict,
          reviewedBy,
          reviewedAt: clock.now(),
          ...(note === undefined ? {} : { note }),
        };
        return (await flags.compareAndSet(next)) ? next : LOST;
      });
    },

    async publish(event: OutboxEvent): Promise<'published'> {
      const f = event.data as unknown as AnomalyFlag;
      const { id, kind, subjectId, subjectRole, city, score, lastAt: at } = f;
      const evidence = JSON.stringify(f.evidence.at(-1)?.facts ?? {});
      deps.publisher.publishLatest(
        `city:${city}`,
        'anomaly_flag',
        { id, kind, subjectId, subjectRole, city, score, evidence, at },
        event.id,
      );
      return 'published';
    },
  };
}
