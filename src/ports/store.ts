/**
 * The store: what must never be lost. One document is one transaction (docs/decisions/0001): a change is one
 * compare-and-set write that also appends the events it causes to the document's own outbox.
 *
 * Two adapters, MongoDB and SQLite, are held equal by test/conformance/store.ts. Both promise:
 *  - a resolved write survives kill -9 of this process;
 *  - a write is atomic: document, indexes and outbox change together or not at all;
 *  - reads by id see every write that resolved before the read began, from any process on the same store;
 *  - when the store cannot be reached, calls reject with RideError RIDE_UNAVAILABLE and nothing is half-written.
 */

/** An event waiting in its document's outbox to be published. */
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
 * Fields that every stored document has. `region` and `createdAt` are the shard key (document C); both can be read off the
 * id (src/domain/ids.ts), so that every call by id carries the shard key.
 */
export interface StoredDocument {
  id: string;
  region: string;
  /** Domain time of creation, epoch milliseconds. */
  createdAt: number;
  /** 1 when inserted; every compare-and-set makes it one more. */
  version: number;
}

export interface IndexSpec {
  /** Unique within the collection; a violation names it. */
  name: string;
  /** Dotted paths into the document, e.g. `source.city`. */
  fields: readonly string[];
  unique?: boolean;
  /** Documents in which the first field is missing or null are left out of the index (and of its uniqueness). */
  sparse?: boolean;
}

export interface CollectionSpec<T extends StoredDocument> {
  name: string;
  indexes: readonly IndexSpec[];
  /** Only for the type of the documents; never read. */
  readonly example?: T;
}

export type FieldValue = string | number | boolean | null;

/**
 * Conditions on dotted paths, all of which must hold. `null` matches a missing field too. Ranges work on numbers and strings.
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
  /** Dotted path to order by; ties are ordered by id in the same direction. Default `createdAt`. */
  orderBy?: string;
  /** Default `desc`. */
  direction?: 'asc' | 'desc';
  /** 1 to 1000. */
  pageSize: number;
  /** `nextPageToken` of the page before; opaque. A token that was not made by this store rejects with RIDE_INVALID_INPUT, field `page_token`. */
  pageToken?: string;
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
  /** Oldest first, at least one. */
  events: OutboxEvent[];
}

export interface Collection<T extends StoredDocument> {
  /**
   * Stores a new document, version 1, with its first events.
   * @throws RideError RIDE_ALREADY_EXISTS when the id or a unique index is taken; facts.index names the index (`id` for the id).
   */
  insert(document: T, events?: readonly OutboxEvent[]): Promise<void>;

  get(id: string): Promise<T | null>;

  /** In the order of `ids`; missing ones are left out. */
  getMany(ids: readonly string[]): Promise<T[]>;

  /**
   * Replaces the document if its stored version is `document.version - 1`, and appends `events` to its outbox, in one atomic
   * write. Resolves false when the stored version is another one or the document is gone: nothing was written.
   * @throws RideError RIDE_ALREADY_EXISTS on a unique index.
   */
  compareAndSet(document: T, events?: readonly OutboxEvent[]): Promise<boolean>;

  page(query: PageQuery): Promise<Page<T>>;

  /** Documents near a place, by H3 cells stored as plain fields; in no promised order. */
  near(query: NearQuery): Promise<T[]>;

  count(where: Filter): Promise<number>;

  /** Takes published events out of the outbox. Does not change the version. Unknown ids are no error. */
  acknowledge(id: string, eventIds: readonly string[]): Promise<void>;

  /** The events of one document that are not acknowledged, oldest first. */
  outboxOf(id: string): Promise<OutboxEvent[]>;

  /** Documents with unacknowledged events whose oldest is dated `before` or earlier (domain time, epoch ms), oldest first. */
  pending(before: number, limit: number): Promise<Pending<T>[]>;

  /** Removes documents that match; for retention jobs only. Resolves how many. */
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
  /** Appends points of a subject (a trip id, an alert id). Points with an `at` already stored are kept once. */
  append(subjectId: string, points: readonly TrackPoint[]): Promise<void>;
  /** Points with fromMs <= at < toMs, by `at`. */
  read(subjectId: string, fromMs: number, toMs: number): Promise<TrackPoint[]>;
  /** Removes buckets that ended before `beforeMs`. Resolves how many buckets. */
  removeBefore(beforeMs: number): Promise<number>;
}

export interface Store {
  /** Declares a collection; its table and indexes exist when `open` resolves. Call before `open`. */
  collection<T extends StoredDocument>(spec: CollectionSpec<T>): Collection<T>;
  readonly tracks: TrackStore;
  open(): Promise<void>;
  /** Rejects with RIDE_UNAVAILABLE when the store cannot serve. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
