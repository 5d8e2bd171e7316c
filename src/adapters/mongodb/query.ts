/** The port's filters and pages in MongoDB's query language. */
import type { Filter as MongoFilter, Sort } from 'mongodb';
import { parseId } from '../../domain/ids.ts';
import type { Filter, PageQuery } from '../../ports/store.ts';
import type { Cursor } from '../store/cursor.ts';
import { fieldOf, type Held } from './documents.ts';

/** Names one document, with the shard key where the id tells it. */
export function byId(id: string): MongoFilter<Held> {
  const parts = parseId(id);
  return parts ? { _id: id, region: parts.region, createdAt: parts.createdAt } : { _id: id };
}

/** Names documents, with the parts of the shard key where all ids tell them. */
export function byIds(ids: readonly string[]): MongoFilter<Held> {
  const parts = ids.map(parseId);
  if (parts.some((one) => one === null)) return { _id: { $in: ids } };
  const regions = [...new Set(parts.map((one) => one!.region))];
  const times = [...new Set(parts.map((one) => one!.createdAt))];
  return { _id: { $in: ids }, region: { $in: regions }, createdAt: { $in: times } };
}

/** Equality with null and `$ne: null` are MongoDB's own reading of missing and null as one, as the port has it. */
function condition(wanted: Filter[string]): unknown {
  if (wanted === null || typeof wanted !== 'object') return { $eq: wanted };
  if ('in' in wanted) return { $in: wanted.in };
  if ('exists' in wanted) return wanted.exists ? { $ne: null } : { $eq: null };
  return Object.fromEntries(
    Object.entries(wanted)
      .filter(([, bound]) => bound !== undefined)
      .map(([operator, bound]) => [`$${operator}`, bound]),
  );
}

export function toMongo(where: Filter): MongoFilter<Held> {
  return Object.fromEntries(Object.entries(where).map(([path, wanted]) => [fieldOf(path), condition(wanted)]));
}

export function sortOf(query: PageQuery): Sort {
  const direction = query.direction === 'asc' ? 1 : -1;
  const field = fieldOf(query.orderBy ?? 'createdAt');
  return field === '_id' ? { _id: direction } : { [field]: direction, _id: direction };
}

/** What lies past the cursor. Comparisons see only values of their own type, so missing fields are named apart. */
export function past(query: PageQuery, after: Cursor): MongoFilter<Held> {
  const field = fieldOf(query.orderBy ?? 'createdAt');
  const operator = query.direction === 'asc' ? '$gt' : '$lt';
  const { value, id } = after;
  if (field === '_id') return { _id: { [operator]: id } };
  const tie = { [field]: { $eq: value }, _id: { [operator]: id } };
  const isNonNull = field === 'createdAt' || field === 'region' || field === 'version';
  const beyond: MongoFilter<Held>[] = value === null ? [] : [{ [field]: { [operator]: value } }];
  if (!isNonNull && query.direction === 'asc' && value === null) beyond.push({ [field]: { $ne: null } });
  if (!isNonNull && query.direction !== 'asc' && value !== null) beyond.push({ [field]: { $eq: null } });
  return { $or: [...beyond, tie] };
}
