/** Flags of anomalies on the REST wire. */
import { type Static, Type } from 'typebox';
import type { StoredDocument } from '../../ports/store.ts';
import { after, DRIVER_ID, OPERATOR_ID } from '../examples.ts';
import { Closed, EpochMs, OneOf, PageQuerySchema, pageOf, UserId } from '../schemas.ts';
import { type AnomalyKind, anomalyKinds } from './rules.ts';

export const flagStatuses = ['open', 'confirmed', 'dismissed'] as const;
export type FlagStatus = (typeof flagStatuses)[number];

/** As it is stored. */
export interface AnomalyFlag extends StoredDocument {
  kind: AnomalyKind;
  subjectId: string;
  subjectRole: 'rider' | 'driver';
  city: string;
  status: FlagStatus;
  /** How often it was found. */
  count: number;
  score: number;
  firstAt: number;
  lastAt: number;
  /** The last findings, oldest first. */
  evidence: { at: number; score: number; facts: Record<string, number | string | string[]> }[];
  reviewedBy?: string;
  reviewedAt?: number;
  note?: string;
  /** Counts the events of the document. */
  seq: number;
}

export const AnomalySchema = Type.Object(
  {
    id: Type.String(),
    kind: OneOf(anomalyKinds),
    subject_id: Type.String(),
    subject_role: OneOf(['rider', 'driver']),
    city: Type.String(),
    status: OneOf(flagStatuses),
    version: Type.Integer({ description: 'as in the ETag' }),
    score: Type.Number({ minimum: 0, maximum: 1, description: 'how far past the line' }),
    count: Type.Integer({ description: 'how often it was found' }),
    first_at: EpochMs,
    last_at: EpochMs,
    evidence: Type.Array(
      Type.Object({
        at: EpochMs,
        score: Type.Number(),
        facts: Type.Object({}, { additionalProperties: true, description: 'counts, shares, ids of trips' }),
      }),
    ),
    reviewed_by: Type.Optional(Type.String()),
    reviewed_at: Type.Optional(EpochMs),
    note: Type.Optional(Type.String()),
  },
  {
    title: 'Anomaly',
    description: 'Something that looks like cheating',
    examples: [
      {
        id: `spoofed_gps:${DRIVER_ID}`,
        kind: 'spoofed_gps',
        subject_id: DRIVER_ID,
        subject_role: 'driver',
        city: 'nyc',
        status: 'dismissed',
        version: 2,
        score: 0.75,
        count: 1,
        first_at: after(300),
        last_at: after(300),
        evidence: [
          {
            at: after(300),
            score: 0.75,
            facts: { sign: 'jumps', repeated: 0, jumps: 18, speed_mismatches: 2, fixes: 60 },
          },
        ],
        reviewed_by: OPERATOR_ID,
        reviewed_at: after(900),
        note: 'a long tunnel',
      },
    ],
  },
);

export const AnomalyPageSchema = pageOf(AnomalySchema, 'AnomalyPage');

export const AnomalyQuerySchema = Type.Object(
  {
    status: Type.Optional(OneOf(flagStatuses)),
    kind: Type.Optional(OneOf(anomalyKinds)),
    subject_id: Type.Optional(UserId),
    ...PageQuerySchema,
  },
  Closed,
);

export const ReviewSchema = Type.Object(
  { verdict: OneOf(['confirmed', 'dismissed']), note: Type.Optional(Type.String({ maxLength: 1000 })) },
  { ...Closed, title: 'AnomalyReview', examples: [{ verdict: 'dismissed', note: 'a long tunnel' }] },
);

export const toAnomalyWire = (f: AnomalyFlag): Static<typeof AnomalySchema> => ({
  id: f.id,
  kind: f.kind,
  subject_id: f.subjectId,
  subject_role: f.subjectRole,
  city: f.city,
  status: f.status,
  version: f.version,
  score: f.score,
  count: f.count,
  first_at: f.firstAt,
  last_at: f.lastAt,
  evidence: f.evidence,
  ...(f.reviewedBy ? { reviewed_by: f.reviewedBy } : {}),
  ...(f.reviewedAt === undefined ? {} : { reviewed_at: f.reviewedAt }),
  ...(f.note === undefined ? {} : { note: f.note }),
});
