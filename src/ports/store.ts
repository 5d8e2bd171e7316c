/**
 * The store: what must never be lost. One document is one transaction (docs/decisions/0001): a change is one
 * compare-and-set write that also appends the events it causes to the document's own outbox.
 *
 * Two adapters, MongoDB and SQLite, are held equal by test/conformance/store.ts. Both promise:
 *  - a resolved write survives kill -9 of this process;
 *  - a write is atomic: document, indexes and outbox change together or not at all;
 *  - reads by id see every write that resolved before the read began, from any process on the same store;
 *  - when the store cannot be reached, calls reject with RideError RIDE_UNAVAILABLE and nothing is half-written. A write
 *    that rejects so has usually not happened, but may have (its answer was lost on the way): read before repeating it;
 *  - fields whose value is null or undefined and fields that are missing are the same to filters, orders and indexes;
 *    null comes back as null, undefined as missing.
 *
 * Documents are JSON: objects, arrays, strings, finite numbers, booleans, null. Names of top-level fields are
 * identifiers (`[A-Za-z][A-Za-z0-9]*`, not `outbox`), names further down hold no dot, no NUL, do not begin with `$` and are none that
 * every object has (`valueOf`), of which the driver of a store may think something.
 * A field that is filtered by range, ordered by or indexed holds one type of scalar in all documents; what conditions
 * do with arrays and objects is not promised.
 */

/**
 * An event waiting in its document's outbox to be published. The store does not check `seq`; keep the count in the
 * document.
 */
export interface OutboxEvent {
  /** Stable id by which consumers drop repeats. */
  id: string;
  /** Counts the document's events from 1 without a gap. */
  seq: number;
  /** Past tense, dotted: `trip.assigned`. */
  type: string;
  /** Domain time, epoch milliseconds. */
  at: number;
  /** JSON-safe payload. */
  data: Record<string, unknown>;
}

/**
 * Fields that every stored document has. `region` and `createdAt` are the shard key (document C); both can be read off
 * the id (src/domain/ids.ts), so that every call by id carries the shard key.
 */
export interface StoredDocument {
  id: string;
  region: string;
  /**
   * Domain time of creation, epoch milliseconds. Neither it nor `region` ever changes; where the id tells them, they
   * equal it.
   */
  createdAt: number;
  /** 1 when inserted; every compare-and-set makes it one more. */
  version: number;
}

export interface IndexSpec {
  /** Unique within the collection; a violation names it. */
  name: string;
  /** Dotted paths into the document, e.g. `source.city`. */
  fields: readonly string[];
  /** A missing field counts as a value: without `sparse`, two documents without the field collide. */
  unique?: boolean;
  /**
   * Documents in which the field is missing or null are left out. Together with `unique` it takes an index of one
   * field.
   */
  sparse?: boolean;
  /**
   * Only documents that have this field are in it, so that it costs the others nothing; it serves queries that compare the field. Not
   * together with `unique` or `sparse`.
   */
  present?: string;
  /** Stands in it behind all else, so that documents are counted by it without being read. Not together with `unique` or `sparse`. */
  counts?: string;
}

export interface CollectionSpec<T extends StoredDocument> {
  name: string;
  indexes: readonly IndexSpec[];
  /** Only for the type of the documents; never read. */
  readonly example?: T;
}

export type FieldValue = string | number | boolean | null;

/**
 * Conditions on dotted paths, all of which must hold. Values match their own type only (`1` is not `true`). `null`,
 * also within `in`, matches a missing field too; `exists` means neither missing nor null. Ranges work on numbers and
 * strings, which order by code point.
 */
export type Filter = Readonly<
  Record<
    string,
    | FieldValue
    | { readonly in: readonly FieldValue[] }
    | {
        readonly gte?: number | string;
        readonly gt?: number | string;
        readonly lt?: number | string;
        readonly lte?: number | string;
      }
    | { readonly exists: boolean }
  >
>;

export interface PageQuery {
  where: Filter;
  /**
   * Dotted path to order by; ties are ordered by id in the same direction. Default `createdAt`. Documents without the
   * field come first when ascending and last when descending.
   */
  orderBy?: string;
  /** Default `desc`. */
  direction?: 'asc' | 'desc';
  /** 1 to 1000. */
  pageSize: number;
  /**
   * `nextPageToken` of the page before; opaque. A token that was not made for this query rejects with
   * RIDE_INVALID_INPUT, field `page_token`.
   */
  pageToken?: string;
}

/** So many documents have these values: strings and numbers in the order of the fields asked for, null where one is missing. */
export interface Tally {
  values: readonly (string | number | null)[];
  count: number;
}

export interface Page<T> {
  items: T[];
  /** Missing on the last page. */
  nextPageToken?: string;
}

/** Near, by H3 fields: documents whose `field` holds one of `cells` (the caller makes the disk of cells). */
export interface NearQuery {
  field: string;
  cells: readonly string[];
  where?: Filter;
  limit: number;
}

export interface Pending<T extends StoredDocument> {
  document: T;
  /** Oldest first, at least one, at most 100: a longer backlog comes in parts, as the earlier ones are acknowledged. */
  events: OutboxEvent[];
}

export interface Collection<T extends StoredDocument> {
  /**
   * Stores a new document, version 1, with its first events.
   * @throws RideError RIDE_INVALID_INPUT when the document breaks a rule of the page's top, e.g. its version is not 1.
   * @throws RideError RIDE_ALREADY_EXISTS when the id or a unique index is taken; facts.index names the index (`id` for
   *   the id, which is named first when both are).
   */
  insert(document: T, events?: readonly OutboxEvent[]): Promise<void>;

  /**
   * Stores new documents that have no events, each as `insert` does, by fewer round trips. When it rejects, any of them may have been stored.
   * @throws as `insert`
   */
  insertMany(documents: readonly T[]): Promise<void>;

  get(id: string): Promise<T | null>;

  /** In the order of `ids`, repeats repeated; missing ones are left out. */
  getMany(ids: readonly string[]): Promise<T[]>;

  /**
   * Replaces the document if its stored version is `document.version - 1`, and appends `events` to its outbox, in one
   * atomic write. Resolves false when the stored version is another one or the document is gone: nothing was written.
   * Fields that `document` no longer has vanish.
   * @throws RideError RIDE_INVALID_INPUT when the document breaks a rule of the page's top, e.g. its version is below
   *   2.
   * @throws RideError RIDE_ALREADY_EXISTS on a unique index.
   */
  compareAndSet(document: T, events?: readonly OutboxEvent[]): Promise<boolean>;

  page(query: PageQuery): Promise<Page<T>>;

  /** Documents near a place, by H3 cells stored as plain fields; in no promised order. */
  near(query: NearQuery): Promise<T[]>;

  count(where: Filter): Promise<number>;

  /**
   * How many documents match for each combination of values that `fields` have in them, in no promised order. All come at once: for
   * fields of which there are few values. An index that has all that is asked serves it without reading a document.
   */
  tally(where: Filter, fields: readonly string[]): Promise<Tally[]>;

  /** Takes published events out of the outbox. Does not change the version. Unknown ids are no error. */
  acknowledge(id: string, eventIds: readonly string[]): Promise<void>;

  /** The events of one document that are not acknowledged, oldest first. */
  outboxOf(id: string): Promise<OutboxEvent[]>;

  /**
   * Documents with unacknowledged events, the earliest dated of which is dated `before` or earlier and not earlier than `from`
   * (domain time, epoch ms; 0 when left out); the document with the earliest event first.
   */
  pending(before: number, limit: number, from?: number): Promise<Pending<T>[]>;

  /**
   * Removes documents that match; for retention jobs only. Documents with unacknowledged events stay, for their events
   * would be lost. Resolves how many, at most `limit`.
   */
  remove(where: Filter, limit: number): Promise<number>;
}

/** One point of a track; `at` is when the device measured it, epoch milliseconds. */
export interface TrackPoint {
  at: number;
  lat: number;
  lng: number;
  speedMps?: number;
  headingDeg?: number;
  accuracyM?: number;
}

/** Tracks are written in time buckets (one document an hour and subject), never one document a point. */
export interface TrackStore {
  /**
   * Appends points of some subjects (trip ids, alert ids), each subject's in any order. A point whose `at` is already stored
   * replaces that one, so repeats are kept once. When it rejects, any of them may have been stored, and a repeat is safe.
   * @throws RideError RIDE_INVALID_INPUT when one of them is no point: nothing was stored
   */
  append(tracks: ReadonlyMap<string, readonly TrackPoint[]>): Promise<void>;
  /** Points with fromMs <= at < toMs, by `at`. */
  read(subjectId: string, fromMs: number, toMs: number): Promise<TrackPoint[]>;
  /** Removes buckets (hours from the epoch on) that ended at `beforeMs` or earlier. Resolves how many buckets. */
  removeBefore(beforeMs: number): Promise<number>;
}

export interface Store {
  /**
   * Declares a collection; its table and indexes exist when `open` resolves. Call before `open`; a second declaration
   * of a name throws.
   */
  collection<T extends StoredDocument>(spec: CollectionSpec<T>): Collection<T>;
  readonly tracks: TrackStore;
  /**
   * @throws RideError RIDE_UNAVAILABLE when the store cannot be reached, RIDE_ALREADY_EXISTS when stored documents
   *   break a newly declared unique index. May be called again after either.
   */
  open(): Promise<void>;
  /** Rejects with RIDE_UNAVAILABLE when the store cannot serve. */
  ping(): Promise<void>;
  /** Lets running calls finish; later ones reject with RIDE_UNAVAILABLE. */
  close(): Promise<void>;
}
