/** One collection of the MongoDB store. */
import type { Document, Collection as MongoCollection, PullOperator, UpdateFilter } from 'mongodb';
import type { Collection, CollectionSpec, OutboxEvent, StoredDocument } from '../../ports/store.ts';
import { type Cursor, formatCursor, parseCursor } from '../store/cursor.ts';
import {
  checkDocument,
  checkFields,
  checkFilter,
  checkLimit,
  checkNear,
  checkPage,
  PENDING_EVENTS,
} from '../store/rules.ts';
import type { Connection } from './connection.ts';
import { decode, type Encoded, encode, fieldOf, fieldsOf, type Held, plain, VISIBLE, valueAt } from './documents.ts';
import { FieldsSeen } from './fields-seen.ts';
import { byId, byIds, past, sortOf, toMongo } from './query.ts';

export function createCollection<T extends StoredDocument>(
  connection: Connection,
  spec: CollectionSpec<T>,
): Collection<T> {
  const held = (): MongoCollection<Held> => connection.db.collection<Held>(spec.name);
  const run = <R>(call: () => Promise<R>): Promise<R> => connection.run(spec.name, call);
  const seen = new FieldsSeen();
  const found = (document: Document): T => {
    const decoded = decode<T>(document);
    seen.set(decoded.id, fieldsOf(decoded));
    return decoded;
  };

  return {
    async insert(document, events = []) {
      checkDocument(document, events, true);
      const encoded = encode(spec, document);
      await run(() => held().insertOne({ ...encoded, outbox: plain([...events]) } as Held));
      seen.set(document.id, encoded._fields);
    },

    async insertMany(documents) {
      if (documents.length === 0) return;
      for (const document of documents) checkDocument(document, [], true);
      const encoded = documents.map((document) => ({ ...encode(spec, document), outbox: [] }) as Held);
      await run(() => held().insertMany(encoded, { ordered: false }));
      for (const { _id, _fields } of encoded) seen.set(_id, _fields);
    },

    async get(id) {
      const document = await run(() => held().findOne(byId(id), { projection: VISIBLE }));
      return document && found(document);
    },

    async getMany(ids) {
      if (ids.length === 0) return [];
      const documents = await run(() => held().find(byIds(ids), { projection: VISIBLE }).toArray());
      const byIdFound = new Map(documents.map((document) => [document._id, document]));
      return ids.flatMap((id) => (byIdFound.has(id) ? [found(byIdFound.get(id)!)] : []));
    },

    async compareAndSet(document, events = []) {
      checkDocument(document, events, false);
      return run(() => compareAndSet(held(), seen, encode(spec, document), plain([...events])));
    },

    async page(query) {
      checkPage(query);
      const after = query.pageToken === undefined ? null : parseCursor(spec.name, query, query.pageToken);
      const filter = after ? { $and: [toMongo(query.where), past(query, after)] } : toMongo(query.where);
      const options = { projection: VISIBLE, sort: sortOf(query), limit: query.pageSize + 1 };
      const documents = await run(() => held().find(filter, options).toArray());
      const items = documents.slice(0, query.pageSize).map(found);
      if (documents.length <= query.pageSize) return { items };
      const last = items.at(-1)!;
      const value = valueAt(last, query.orderBy ?? 'createdAt') as Cursor['value'];
      return { items, nextPageToken: formatCursor(spec.name, query, { value, id: last.id }) };
    },

    async near(query) {
      checkNear(query);
      const filter = { $and: [{ [query.field]: { $in: query.cells } }, toMongo(query.where ?? {})] };
      const documents = await run(() => held().find(filter, { projection: VISIBLE, limit: query.limit }).toArray());
      return documents.map(found);
    },

    async count(where) {
      checkFilter(where);
      return run(() => held().countDocuments(toMongo(where)));
    },

    async tally(where, fields) {
      checkFilter(where);
      checkFields(fields);
      // Names of what is grouped by may hold no dot. A missing field is another thing than null to $group.
      const by = Object.fromEntries(fields.map((path, i) => [`v${i}`, { $ifNull: [`$${fieldOf(path)}`, null] }]));
      const stages = [{ $match: toMongo(where) }, { $group: { _id: by, count: { $sum: 1 } } }];
      const groups = await run(() => held().aggregate<{ _id: Document; count: number }>(stages).toArray());
      return groups.map(({ _id, count }) => ({ count, values: fields.map((_, i) => _id[`v${i}`] ?? null) }));
    },

    async acknowledge(id, eventIds) {
      if (eventIds.length === 0) return;
      const pull = { outbox: { id: { $in: [...eventIds] } } } as Document as PullOperator<Held>;
      await run(() => held().updateOne(byId(id), { $pull: pull }));
    },

    async outboxOf(id) {
      const document = await run(() => held().findOne(byId(id), { projection: { outbox: 1 } }));
      return document?.outbox ?? [];
    },

    async pending(before, limit, from = 0) {
      checkLimit('limit', limit, 10_000);
      // The bound below is about all events of a document: its later ones must not bring it back.
      const notEarlier = from > 0 ? { $nor: [{ 'outbox.at': { $lt: from } }] } : {};
      const filter = { 'outbox.at': { $lte: before }, ...notEarlier };
      const documents = await run(() =>
        held()
          .find(filter, { sort: { 'outbox.at': 1 }, limit })
          .toArray(),
      );
      return documents.map((document) => ({
        document: found(document),
        events: document.outbox.slice(0, PENDING_EVENTS),
      }));
    },

    async remove(where, limit) {
      checkFilter(where);
      checkLimit('limit', limit, 10_000);
      // Asked again with the removal: what was changed or written to in between must stay.
      const removable = { $and: [toMongo(where), { 'outbox.0': { $exists: false } }] };
      return run(async () => {
        const ids = await held()
          .find(removable, { projection: { _id: 1 }, limit })
          .toArray();
        if (ids.length === 0) return 0;
        const listed = byIds(ids.map((one) => one._id));
        return (await held().deleteMany({ $and: [listed, removable] })).deletedCount;
      });
    },
  };
}

/**
 * One update, guarded by the version and by the names of the stored fields: which fields vanish is only known when
 * those are. They are guessed (they are what this process saw last, or those of the new document), and looked up when
 * the guess was wrong.
 */
async function compareAndSet(
  held: MongoCollection<Held>,
  seen: FieldsSeen,
  next: Encoded,
  events: OutboxEvent[],
): Promise<boolean> {
  const { _id, region, createdAt, ...changed } = next;
  const one = { _id, region, createdAt };
  const version = next.version - 1;
  let fields = seen.get(_id) ?? next._fields;
  for (;;) {
    const vanished = fields.split(' ').filter((name) => !Object.hasOwn(next, name));
    if (!next._nulls) vanished.push('_nulls');
    const update: Document = { $set: changed };
    if (vanished.length > 0) update.$unset = Object.fromEntries(vanished.map((name) => [name, '']));
    if (events.length > 0) update.$push = { outbox: { $each: events } };
    const { matchedCount } = await held.updateOne({ ...one, version, _fields: fields }, update as UpdateFilter<Held>);
    if (matchedCount === 1) {
      seen.set(_id, next._fields);
      return true;
    }
    const stored = await held.findOne(one, { projection: { version: 1, _fields: 1 } });
    if (stored?.version !== version) return false;
    fields = stored._fields;
  }
}
