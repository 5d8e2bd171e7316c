/** The first ride with MongoDB as the store: on one node, and with the rider and the driver on two. */
import t from 'tap';
import { build } from '../helper.ts';
import { startMongo } from '../servers/mongo.ts';
import { firstDelivery } from './first-delivery.ts';
import { firstDeparture } from './first-departure.ts';
import { firstRide } from './first-ride.ts';

const mongo = await startMongo(t);

t.test('MongoDB', { skip: 'skip' in mongo ? mongo.skip : false }, async (t) => {
  if ('skip' in mongo) return;
  const env = { MONGODB_URL: mongo.url, MONGODB_DATABASE: mongo.freshDatabase() };
  const one = await build(t, { env });
  await t.test('the first ride on one node', (t) => firstRide(t, one));
  const other = await build(t, { env: { ...env, REDIS_URL: one.redisUrl } });
  await t.test('the first ride, the rider on one node and the driver on the other', (t) => firstRide(t, one, other));
  await t.test('the first delivery, its porters on the other node', (t) => firstDelivery(t, one, other));
  await t.test('the first departure, its passengers on both', (t) => firstDeparture(t, one, other));
});
