/** The promises of the ports that sessions live by (inboxes, reconnect tokens, token buckets, directory) as one suite, run on every kind of Redis. */
import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import type { Inboxes } from '../../src/ports/inboxes.ts';
import type { Reconnects, SavedSession } from '../../src/ports/reconnects.ts';
import type { DirectoryEntry, NodeStats, SessionDirectory } from '../../src/ports/session-directory.ts';
import type { TokenBuckets } from '../../src/ports/token-buckets.ts';
import { until } from '../until.ts';

export interface SessionsPlace {
  /** Each one more node. */
  inboxes(): Inboxes;
  reconnects(): Reconnects;
  buckets(): TokenBuckets;
  directory(): SessionDirectory;
  /** How long an entry of the directory and a place in an inbox live, milliseconds. */
  ttlMs: number;
  /** The hash, and the set in order, under a key of Redis. */
  stored(key: string): Promise<Record<string, string>>;
  members(key: string): Promise<string[]>;
  /** Milliseconds that a key of Redis has left; -1 when it has no end, -2 when it is not there. */
  lifeMs(key: string): Promise<number>;
  /** Leaves a key so long. */
  shorten(key: string, ms: number): Promise<void>;
  forget(key: string): Promise<void>;
}

type Case = (t: Test, place: SessionsPlace) => Promise<void>;

/** So long that nothing comes back, or ends, while a case runs. */
const HOUR_MS = 3_600_000;
/** So many that each master of a cluster has some. */
const MANY = 30;
const GONE = -2;
const many = (): string[] => Array.from({ length: MANY }, () => randomUUID());

const saved = (userId: string, offset = 1): SavedSession => ({
  userId,
  role: 'rider',
  city: 'testville',
  vehicleClass: 'standard',
  expiresAt: 1_900_000_000_000,
  premium: false,
  tokenHash: 'hash',
  namespace: 'ws',
  topics: { [`trip:${userId}`]: { epoch: 'e', offset } },
});

const entryOf = (userId: string, more: Partial<DirectoryEntry> = {}): DirectoryEntry => ({
  sessionId: `ses-${randomUUID()}`,
  userId,
  role: 'driver',
  namespace: 'porter',
  nodeId: 'n',
  connectedAt: 1,
  expiresAt: 2,
  tokenHash: 'hash',
  tripIds: [],
  ...more,
});

const statsOf = (nodeId: string, total: number): NodeStats => ({
  nodeId,
  total,
  byNamespace: { ws: total },
  byRole: { rider: total },
  byCity: {},
});

const cases: Record<string, Case> = {
  'an inbox is where it came to, whichever node says it, and never goes back': async (t, place) => {
    const nodes = [place.inboxes(), place.inboxes()];
    const at = (offset: number, epoch = 'e') => ({ epoch, offset });
    for (const id of many()) {
      // The hash tag keeps what is written after it behind it.
      const [user, after] = [`{${id}}`, `{${id}}-after`];
      t.equal(await nodes[0]!.position(user), null);
      for (const [index, offset] of [3, 1, 5, 2, 4].entries()) nodes[index % 2]!.advance(user, at(offset));
      await until(async () => (await nodes[1]!.position(user))?.offset === 5, 'the furthest');
      for (const node of nodes) {
        node.advance(user, at(4));
        node.advance(after, at(1));
      }
      await until(async () => (await nodes[0]!.position(after)) !== null, 'what is written last');
      t.same(await nodes[0]!.position(user), at(5));
      const lifeMs = await place.lifeMs(`inbox:${user}`);
      t.ok(lifeMs > 0 && lifeMs <= place.ttlMs, `${lifeMs}`);
      nodes[0]!.advance(user, at(1, 'f'));
      await until(async () => (await nodes[1]!.position(user))?.epoch === 'f', 'another epoch');
      t.same(await nodes[1]!.position(user), at(1, 'f'));
    }
  },

  'of many who redeem a token at once, on two nodes, one gets its session': async (t, place) => {
    const nodes = [place.reconnects(), place.reconnects()];
    await Promise.all(
      many().map(async (token, index) => {
        await nodes[index % 2]!.create(token, saved(token), HOUR_MS);
        const lifeMs = await place.lifeMs(`reconnect:token:${token}`);
        t.ok(lifeMs > 0 && lifeMs <= HOUR_MS, `${lifeMs}`);
        const got = await Promise.all(Array.from({ length: 6 }, (_, n) => nodes[n % 2]!.redeem(token)));
        t.same(
          got.filter((session) => session !== null),
          [saved(token)],
        );
      }),
    );
  },

  'a token is written anew while it is good, and never brought back': async (t, place) => {
    const reconnects = place.reconnects();
    for (const id of many()) {
      const [token, used, forgotten] = ['', '-used', '-forgotten'].map((name) => `{${id}}${name}`) as [
        string,
        string,
        string,
      ];
      await Promise.all([token, used, forgotten].map((each) => reconnects.create(each, saved(id), HOUR_MS / 2)));
      await reconnects.redeem(used);
      reconnects.forget(forgotten);
      for (const each of [token, used, forgotten]) reconnects.update(each, saved(id, 2), HOUR_MS);
      await reconnects.create(`{${id}}-after`, saved(id), HOUR_MS);
      t.ok((await place.lifeMs(`reconnect:token:${token}`)) > HOUR_MS / 2, 'its whole life again');
      const found = await Promise.all([token, used, forgotten].map((each) => reconnects.redeem(each)));
      t.same(found, [saved(id, 2), null, null]);
    }
  },

  'a token ends by itself': async (t, place) => {
    const reconnects = place.reconnects();
    const token = randomUUID();
    await reconnects.create(token, saved('u'), 30);
    await until(async () => (await place.lifeMs(`reconnect:token:${token}`)) === GONE, 'its end');
    t.equal(await reconnects.redeem(token), null);
  },

  'a bucket gives what it holds and no more, to however many nodes, and takes back what was not spent': async (
    t,
    place,
  ) => {
    const nodes = [place.buckets(), place.buckets()];
    const shape = { capacity: 10, windowMs: HOUR_MS };
    await Promise.all(
      many().map(async (bucket) => {
        const ask = (n: number) => nodes[n % 2]!.take(bucket, shape, 1, 1);
        const grants = await Promise.all(Array.from({ length: 15 }, (_, n) => ask(n)));
        t.equal(
          grants.reduce((sum, { granted }) => sum + granted, 0),
          10,
        );
        const refused = grants.filter(({ granted }) => granted === 0);
        t.ok(refused.every(({ waitMs }) => waitMs > 0 && waitMs <= HOUR_MS / 10));
        const lifeMs = await place.lifeMs(`bucket:${bucket}`);
        t.ok(lifeMs > 0 && lifeMs <= HOUR_MS, `gone when it is full again: ${lifeMs}`);
        nodes[0]!.giveBack(bucket, shape, 4);
        await until(async () => Number((await place.stored(`bucket:${bucket}`)).level) >= 4, 'what was given back');
        t.hasStrict(await nodes[1]!.take(bucket, shape, 5, 9), { granted: 0, left: 4 }, 'fewer than the least');
        t.same(await nodes[1]!.take(bucket, shape, 2, 9), { granted: 4, waitMs: 0, left: 0 });
        nodes[1]!.giveBack(bucket, shape, 100);
        // One that is full is forgotten a millisecond later.
        const { capacity } = shape;
        const levelOf = async () => Number((await place.stored(`bucket:${bucket}`)).level ?? capacity);
        await until(async () => (await levelOf()) > 0, 'what was given back');
        t.same(
          await nodes[0]!.take(bucket, shape, 10, 100),
          { granted: 10, waitMs: 0, left: 0 },
          'never more than full',
        );
      }),
    );
  },

  'a bucket fills up by itself': async (t, place) => {
    const buckets = place.buckets();
    const [bucket, shape] = [randomUUID(), { capacity: 10, windowMs: 200 }];
    t.same(await buckets.take(bucket, shape, 10, 10), { granted: 10, waitMs: 0, left: 0 });
    await until(async () => (await buckets.take(bucket, shape, 10, 10)).granted === 10, 'as many again');
  },

  'who is connected where and follows which trip is told until it ends': async (t, place) => {
    const directory = place.directory();
    for (const id of many()) {
      const [first, second] = [entryOf(id), entryOf(id, { nodeId: 'm' })];
      const [newest, all, trip] = [`session:${id}`, `user:socket:${id}`, `order:subscription:${id}`];
      directory.opened(first);
      directory.opened(second);
      directory.followed(id, first.sessionId);
      await until(async () => (await place.members(trip)).length === 1, 'who follows the trip');
      await until(async () => (await place.stored(newest)).socketId === second.sessionId, 'the newest');
      t.hasStrict(await place.stored(newest), { role: 'driver', nodeId: 'm', token: 'hash', expiresAt: '2' });
      await until(async () => (await place.members(all)).length === 2, 'both');
      for (const key of [newest, all, trip, `socket:user:${first.sessionId}`]) {
        const lifeMs = await place.lifeMs(key);
        t.ok(lifeMs > 0 && lifeMs <= place.ttlMs, `${key}: ${lifeMs}`);
      }
      directory.unfollowed(id, first.sessionId);
      directory.closed(first);
      await until(async () => (await place.members(all)).length === 1, 'the end of the first');
      await until(async () => (await place.lifeMs(trip)) === GONE, 'nobody follows it');
      t.equal((await place.stored(newest)).socketId, second.sessionId, 'the place is the other one’s');
      t.equal(await place.lifeMs(`socket:user:${first.sessionId}`), GONE);
      directory.closed(second);
      await until(async () => (await place.lifeMs(newest)) === GONE, 'the end of both');
    }
  },

  'entries that are kept have their whole life again, what is lost of them too, and the dead are taken out': async (
    t,
    place,
  ) => {
    const directory = place.directory();
    const entries = many().map((id) => entryOf(id, { tripIds: [id] }));
    await directory.keep(entries);
    const keysOf = ({ userId, sessionId }: DirectoryEntry) =>
      ['socket:user:', 'user:socket:', 'session:', 'order:subscription:'].map((kind, at) =>
        at === 0 ? `${kind}${sessionId}` : `${kind}${userId}`,
      );
    const keys = entries.flatMap(keysOf);
    await Promise.all(keys.map((key) => place.shorten(key, 10_000)));
    const lost = keysOf(entries[0]!);
    await Promise.all(lost.map((key) => place.forget(key)));
    const dead = entries.map(({ userId }) => entryOf(userId, { tripIds: [userId] }));
    await directory.keep(dead);
    for (const { sessionId } of dead) await place.forget(`socket:user:${sessionId}`);
    await directory.keep(entries);
    for (const entry of entries) {
      for (const key of keysOf(entry)) t.ok((await place.lifeMs(key)) > 10_000, key);
      for (const kind of ['user:socket', 'order:subscription'])
        t.same(await place.members(`${kind}:${entry.userId}`), [entry.sessionId]);
    }
  },

  'a node counts for as long as it renews its lease, or until it leaves': async (t, place) => {
    const [a, b] = [place.directory(), place.directory()];
    const ids = ['a', 'b', 'c'].map((name) => `${name}-${randomUUID()}`);
    const counted = async () => (await b.cluster()).filter(({ nodeId }) => ids.includes(nodeId));
    // So often that a busy machine does not let one end that is renewed.
    const renewed = async (): Promise<NodeStats[]> => {
      await Promise.all(ids.slice(0, 2).map((id, n) => a.renew(statsOf(id, n + 1))));
      return counted();
    };
    await a.renew(statsOf(ids[2]!, 3));
    await until(async () => (await renewed()).length === 2, 'the lease of the third to end');
    let all = await renewed();
    await until(async () => {
      all = await renewed();
      return all.length === 2;
    }, 'both');
    t.same(new Set(all), new Set([statsOf(ids[0]!, 1), statsOf(ids[1]!, 2)]));
    await a.leave(ids[0]!);
    t.notOk((await counted()).some(({ nodeId }) => nodeId === ids[0]));
  },
};

export async function sessionsConformance(t: Test, name: string, place: SessionsPlace): Promise<void> {
  for (const [title, body] of Object.entries(cases)) await t.test(`${name}: ${title}`, (t) => body(t, place));
}
