/** The MongoDB store: the port's conformance suite, on MONGODB_URL or else on the stand-in. */
import t from 'tap';
import { storeConformance } from '../../conformance/store.ts';
import { startMongo } from '../../servers/mongo.ts';

const server = await startMongo(t);
if ('skip' in server) {
  t.test('conformance', { skip: server.skip }, async () => {});
} else {
  await storeConformance(t, 'mongodb', async () => ({
    adapter: 'mongodb',
    url: server.url,
    database: server.freshDatabase(),
  }));
}
