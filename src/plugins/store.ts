/** The store of the settings: MongoDB when MONGODB_URL names one, else SQLite. */
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Config } from '../config.ts';
import type { Store } from '../ports/store.ts';

declare module 'fastify' {
  interface FastifyInstance {
    store: Store;
  }
}

/** The driver of the one that is not used is not loaded. */
export async function createStore(config: Config): Promise<Store> {
  if (config.mongodbUrl) {
    const { createMongoStore } = await import('../adapters/mongodb/store.ts');
    return createMongoStore({ url: config.mongodbUrl, database: config.mongodbDatabase, region: config.region });
  }
  const { createSqliteStore } = await import('../adapters/sqlite/store.ts');
  return createSqliteStore({ file: config.sqliteFile! });
}

/** Decorates `app.store`; it opens when the app is ready, after every collection is declared, and closes last. */
export const storePlugin = fp<{ store: Store }>(
  async (app: FastifyInstance, { store }) => {
    app.decorate('store', store);
    app.addHook('onReady', () => store.open());
    app.addHook('onClose', () => store.close());
  },
  { name: 'store' },
);
