/**
 * The port's rules for documents, indexes and track points, checked by every store adapter in the same words, so that
 * what one refuses the other refuses too.
 */
import { parseId } from '../../domain/ids.ts';
import { invalidInput } from '../../errors.ts';
import type {
  CollectionSpec,
  Filter,
  NearQuery,
  OutboxEvent,
  PageQuery,
  StoredDocument,
  TrackPoint,
} from '../../ports/store.ts';

/** Length of a track bucket, milliseconds. */
export const BUCKET_MS = 3_600_000;
/** Events of one document that `pending` gives at once. */
export const PENDING_EVENTS = 100;

const NAME = /^[A-Za-z][A-Za-z0-9]*$/;
const PATH = /^[A-Za-z][A-Za-z0-9]*(\.[A-Za-z0-9_-]+)*$/;
const INDEX_NAME = /^[A-Za-z][A-Za-z0-9_]*$/;

/** Throws a plain error: a wrong declaration is a defect of the program, found at its first start. */
export function checkSpec(spec: CollectionSpec<StoredDocument>): void {
  if (!NAME.test(spec.name)) throw new Error(`collection name ${spec.name} must be an identifier`);
  const names = new Set<string>(['id']);
  for (const index of spec.indexes) {
    const where = `index ${index.name} of ${spec.name}`;
    if (!INDEX_NAME.test(index.name) || names.has(index.name)) throw new Error(`${where} needs a name of its own`);
    names.add(index.name);
    // An index of several fields that leaves out by the first alone takes a partial index, which sharded collections do
    // not have.
    if (index.unique && index.sparse && index.fields.length > 1)
      throw new Error(`${where}: unique and sparse take one field`);
    if (index.present !== undefined && (index.unique || index.sparse || !PATH.test(index.present)))
      throw new Error(`${where}: present is one dotted path, without unique and sparse`);
    if (index.counts !== undefined && (index.unique || index.sparse || !PATH.test(index.counts)))
      throw new Error(`${where}: counts is one dotted path, without unique and sparse`);
    if (index.fields.length === 0) throw new Error(`${where} names no field`);
    for (const field of index.fields) if (!PATH.test(field)) throw new Error(`${where}: ${field} is not a dotted path`);
  }
}

/** @throws RideError RIDE_INVALID_INPUT */
export function checkDocument(document: StoredDocument, events: readonly OutboxEvent[], inserting: boolean): void {
  const { id, region, createdAt, version } = document;
  if (typeof id !== 'string' || id === '' || id.length > 512)
    throw invalidInput('id', 'a string of 1 to 512 characters');
  if (typeof region !== 'string' || region === '') throw invalidInput('region', 'a string that is not empty');
  if (!Number.isSafeInteger(createdAt)) throw invalidInput('created_at', 'whole epoch milliseconds');
  if (inserting ? version !== 1 : !Number.isSafeInteger(version) || version < 2) {
    throw invalidInput('version', inserting ? '1 on a new document' : 'the stored version and one');
  }
  const parts = parseId(id);
  if (parts && (parts.region !== region || parts.createdAt !== createdAt)) {
    throw invalidInput('id', 'made of the region and the creation time of its document');
  }
  for (const name in document) {
    if (!NAME.test(name) || name === 'outbox') throw invalidInput(name, 'called by an identifier other than outbox');
  }
  for (const event of events) {
    if (typeof event.id !== 'string' || typeof event.type !== 'string') throw invalidInput('events', 'named and typed');
    if (!Number.isSafeInteger(event.seq) || !Number.isSafeInteger(event.at)) {
      throw invalidInput('events', 'numbered by whole numbers and dated in whole milliseconds');
    }
  }
}

/** @throws RideError RIDE_INVALID_INPUT when a path or a condition is none of the port's. */
export function checkFilter(where: Filter): void {
  for (const [field, condition] of Object.entries(where)) {
    if (!PATH.test(field)) throw invalidInput(field, 'a dotted path');
    if (condition === null || ['string', 'boolean', 'number'].includes(typeof condition)) continue;
    if (typeof condition !== 'object' || !isCondition(condition)) throw invalidInput(field, 'a condition of the port');
  }
}

function isCondition(condition: object): boolean {
  const entries = Object.entries(condition).filter(([, value]) => value !== undefined);
  if ('in' in condition) return entries.length === 1 && Array.isArray(condition.in);
  if ('exists' in condition) return entries.length === 1 && typeof condition.exists === 'boolean';
  return (
    entries.length > 0 &&
    entries.every(
      ([key, value]) =>
        ['gte', 'gt', 'lt', 'lte'].includes(key) && (typeof value === 'number' || typeof value === 'string'),
    )
  );
}

/** @throws RideError RIDE_INVALID_INPUT */
export function checkPage(query: PageQuery): void {
  checkFilter(query.where);
  if (query.orderBy !== undefined && !PATH.test(query.orderBy)) throw invalidInput('order_by', 'a dotted path');
  checkLimit('page_size', query.pageSize, 1000);
}

/** @throws RideError RIDE_INVALID_INPUT */
export function checkFields(fields: readonly string[]): void {
  if (fields.length === 0) throw invalidInput('fields', 'one at least');
  for (const field of fields) if (!PATH.test(field)) throw invalidInput(field, 'a dotted path');
}

/** @throws RideError RIDE_INVALID_INPUT */
export function checkNear(query: NearQuery): void {
  if (!PATH.test(query.field)) throw invalidInput('field', 'a dotted path');
  if (query.where) checkFilter(query.where);
  checkLimit('limit', query.limit, 10_000);
}

/** @throws RideError RIDE_INVALID_INPUT */
export function checkLimit(field: string, limit: number, most: number): void {
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > most)
    throw invalidInput(field, `a whole number from 1 to ${most}`);
}

/** @throws RideError RIDE_INVALID_INPUT */
export function checkTrack(subjectId: string, points: readonly TrackPoint[]): void {
  if (typeof subjectId !== 'string' || subjectId === '' || subjectId.length > 256) {
    throw invalidInput('subject_id', 'a string of 1 to 256 characters');
  }
  for (const point of points) {
    if (!Number.isSafeInteger(point.at) || point.at < 0) throw invalidInput('at', 'whole epoch milliseconds');
    if (!Number.isFinite(point.lat) || !Number.isFinite(point.lng)) throw invalidInput('lat', 'finite, as lng');
    for (const extra of [point.speedMps, point.headingDeg, point.accuracyM]) {
      if (extra !== undefined && !Number.isFinite(extra))
        throw invalidInput('speed_mps', 'finite, as the other measures');
    }
  }
}
