/** docs/redis.md lists every key that a ride leaves in Redis, and each has an end but those that it says last. */
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { connectRedis } from '../../src/adapters/redis/connection.ts';
import { connect, type Peer, resuming } from '../clients/peer.ts';
import { firstRide } from '../e2e/first-ride.ts';
import { build } from '../helper.ts';
import { until } from '../until.ts';

interface Row {
  pattern: RegExp;
  name: string;
  lasts: boolean;
}

const page = readFileSync(new URL('../../docs/redis.md', import.meta.url), 'utf8');

/** `{tripId}` stands for anything; tags of ours (`{nodes}`) stand as they are. */
function patternOf(name: string): RegExp {
  const tags = /^\{(nodes|presence|active-drivers|queue-\w+)\}/;
  const tag = tags.exec(name)?.[0] ?? '';
  const rest = name.slice(tag.length).replace(/\{[^}]*\}|\*/g, '\0');
  const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${literal(tag)}${literal(rest).replaceAll('\0', '.+')}$`, 's');
}

const rows: Row[] = [...page.matchAll(/^\| (`[^|]+`) \| [^|]* \| [^|]* \| ([^|]*) \|/gm)].flatMap(([, names, life]) =>
  [...names!.matchAll(/`([^`]+)`/g)].map(([, name]) => ({
    name: name!,
    pattern: patternOf(name!),
    lasts: life!.startsWith('*last'),
  })),
);

t.test('every key of a ride is in the table, and ends by itself unless it is said to last', async (t) => {
  const s = await build(t);
  const redis = connectRedis({ url: s.redisUrl }, () => {});
  t.teardown(() => redis.disconnect());
  await firstRide(t, s);
  const someone = await s.ws('/ws/client', await s.token('rider', 'someone'));
  await someone.ask({ sos_trigger: { lat: 40.7, lng: -74 } });
  await until(async () => (await redis.keys('sos:tracking:*')).length > 0, 'the emergency is followed');
  const seen = new Set<string>();
  for (const key of await redis.keys('*')) {
    const row = rows.find(({ pattern }) => pattern.test(key));
    if (!t.ok(row, `docs/redis.md has ${key}`) || !row) continue;
    seen.add(row.name);
    // -2: it ended meanwhile.
    if (!row.lasts) t.not(await redis.pttl(key), -1, `${key} ends by itself`);
  }
  for (const name of ['session:{userId}', 'location:{tripId}', 'porter:location:{porterId}', 'sos:tracking:{alertId}'])
    t.ok(seen.has(name), `${name} was there to be looked at`);
});

t.test('the place of a user names the token that he signed in with, by its hash, also after a reconnect', async (t) => {
  const s = await build(t);
  const redis = connectRedis({ url: s.redisUrl }, () => {});
  t.teardown(() => redis.disconnect());
  const token = await s.token('rider', 'placed');
  const first = await connect(t, s.at, 'grpc', token);
  const welcomeOf = ({ inbox }: Peer) => inbox.all.find((m) => m.welcome)!.welcome;
  const welcome = welcomeOf(first);
  const place = () => redis.hgetall('session:placed');
  const expected = { token: hash('sha256', token, 'base64url'), role: 'passenger' };
  await until(async () => (await place()).socketId === welcome.session_id, 'the place');
  t.hasStrict(await place(), expected);
  const { expiresAt } = await place();
  t.equal(Number(expiresAt), s.server.app.verifyToken(token).expiresAt);
  first.cut();
  const again = await connect(t, s.at, 'grpc', undefined, resuming('grpc', welcome.reconnect_token));
  await until(async () => (await place()).socketId === welcomeOf(again).session_id, 'the new place');
  t.hasStrict(await place(), { ...expected, expiresAt });
});
