/** The driver's client: how it is set up, when it may be used, and how its errors leave. */
import { type Db, MongoClient } from 'mongodb';
import { asStoreError, unavailable, urlError } from './errors.ts';

export interface ConnectionOptions {
  url: string;
  database?: string | undefined;
  serverSelectionTimeoutMs: number;
}

/** A server that accepts and then says nothing is given up after this, milliseconds. */
const SOCKET_TIMEOUT_MS = 20_000;
const DEFAULT_DATABASE = 'ridestream';

export class Connection {
  readonly #client: MongoClient;
  readonly #database: string;
  #state: 'new' | 'open' | 'closed' = 'new';
  #running = 0;
  #idle: PromiseWithResolvers<void> | null = null;

  /** @throws RideError RIDE_INVALID_INPUT when the URL is no connection string. */
  constructor({ url, database, serverSelectionTimeoutMs }: ConnectionOptions) {
    // Said by name, though it is the server's default too, because there it can be changed for all.
    const writeConcern = /[?&](w|journal|wtimeoutMS)=/i.test(url)
      ? {}
      : { writeConcern: { w: 'majority', journal: true } as const };
    try {
      this.#client = new MongoClient(url, {
        appName: 'ridestream',
        serverSelectionTimeoutMS: serverSelectionTimeoutMs,
        connectTimeoutMS: serverSelectionTimeoutMs,
        socketTimeoutMS: SOCKET_TIMEOUT_MS,
        ...writeConcern,
      });
    } catch {
      throw urlError();
    }
    this.#database = database ?? /^mongodb(?:\+srv)?:\/\/[^/]+\/([^?]+)/.exec(url)?.[1] ?? DEFAULT_DATABASE;
  }

  get db(): Db {
    return this.#client.db(this.#database);
  }

  /** Connects, and has `prepare` done before anything else is let in. */
  async open(prepare: (db: Db) => Promise<void>): Promise<void> {
    if (this.#state === 'closed') throw unavailable('the store is closed');
    try {
      await this.#client.connect();
      await prepare(this.db);
    } catch (error) {
      throw asStoreError(error, this.#database);
    }
    this.#state = 'open';
  }

  /** Runs one call of the port. `collection`: what errors call it. */
  async run<T>(collection: string, call: () => Promise<T>): Promise<T> {
    if (this.#state !== 'open') throw unavailable('the MongoDB store is not open');
    this.#running++;
    try {
      return await call();
    } catch (error) {
      throw asStoreError(error, collection);
    } finally {
      this.#running--;
      if (this.#running === 0) this.#idle?.resolve();
    }
  }

  async close(): Promise<void> {
    if (this.#state !== 'closed') {
      this.#state = 'closed';
      this.#idle = Promise.withResolvers();
      if (this.#running === 0) this.#idle.resolve();
    }
    await this.#idle!.promise;
    await this.#client.close();
  }
}
