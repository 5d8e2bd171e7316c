/** A master of the Redis Cluster is killed while messages flow: what the bus promises then. */
import { randomUUID } from 'node:crypto';
import t from 'tap';
import { startRedisCluster } from '../../servers/redis-cluster.ts';
import { until } from '../../until.ts';
import { redisPlace } from './place.ts';

const TOPICS = 60;
/** More than are sent while a replica takes over, however long that takes: what is read at the end has all of it. */
const HISTORY_LENGTH = 1_000_000;
const START = { epoch: '', offset: 0 };

t.test('a killed master: writes resume, topics come back, nothing acknowledged is lost', async (t) => {
  const cluster = await startRedisCluster(t);
  const place = await redisPlace(t, cluster.url, async () => {}, HISTORY_LENGTH);
  const [sender, listener] = [await place.node(), await place.node()];
  const topics = Array.from({ length: TOPICS }, () => `trip:${randomUUID()}`);
  const back = new Set<string>();
  listener.onBack((again) => {
    for (const topic of again) back.add(topic);
  });
  const live = new Map(topics.map((topic) => [topic, [] as string[]]));
  listener.onMessage(({ topic, payload }) => live.get(topic)!.push(payload.toString()));
  await Promise.all(topics.map((topic) => listener.subscribe(topic)));

  /** Publishes one after the other, the same again until it is acknowledged, as the relay of an outbox does. */
  const acknowledged = new Map(topics.map((topic) => [topic, 0]));
  let sending = true;
  async function send(topic: string): Promise<void> {
    for (let seq = 1; sending; ) {
      const outcome = await sender
        .publishOrdered(topic, Buffer.from(String(seq)), { source: topic, seq })
        .catch(() => 'unavailable');
      if (outcome === 'published' || outcome === 'duplicate') acknowledged.set(topic, seq++);
      else if (outcome !== 'unavailable') throw new Error(`${topic}: ${outcome} at ${seq}`);
    }
  }
  const sends = Promise.all(topics.map(send));
  const grown = (by: number): Promise<void> => {
    const goal = new Map([...acknowledged].map(([topic, seq]) => [topic, seq + by]));
    return until(
      () => topics.every((topic) => acknowledged.get(topic)! >= goal.get(topic)!),
      `${by} more in each topic`,
    );
  };
  await grown(5);
  const before = new Map(
    await Promise.all(topics.map(async (topic) => [topic, await sender.position(topic)] as const)),
  );
  const victim = await cluster.masterOf(topics[0]!);
  const hit: string[] = [];
  for (const topic of topics) if ((await cluster.masterOf(topic)).port === victim.port) hit.push(topic);
  t.ok(hit.length > 5 && hit.length < TOPICS - 5, `${hit.length} of ${TOPICS} topics lie on the victim`);
  await victim.kill();
  await grown(5);
  await until(() => hit.every((topic) => back.has(topic)), 'the listener is back on all of them');
  await grown(5);
  sending = false;
  await sends;

  t.same([...back].sort(), [...hit].sort(), 'the others were not disturbed');
  for (const topic of topics) {
    const { epoch } = before.get(topic)!;
    const last = acknowledged.get(topic)!;
    const page = await sender.history(topic, START, HISTORY_LENGTH);
    t.equal(page.offset, last);
    const kept = page.messages.map(({ payload }) => payload.toString());
    const all = Array.from({ length: last }, (_, i) => String(i + 1));
    if (!t.same(kept, all.slice(-kept.length), 'history has each message once, in order')) break;
    t.equal(page.epoch !== epoch, hit.includes(topic), 'the epoch is another one where messages may have been lost');
    // A reader that has been there all the time finds what it missed.
    const missed = await sender.history(topic, { epoch, offset: last - 3 }, 10);
    if (hit.includes(topic)) t.ok(missed.complete && missed.epoch !== epoch, 'the old epoch is its past');
    else
      t.same(
        missed.messages.map(({ payload }) => payload.toString()),
        all.slice(-3),
      );
  }
  const undisturbed = topics.filter((topic) => !hit.includes(topic));
  for (const topic of undisturbed) t.equal(live.get(topic)!.length, acknowledged.get(topic), 'all came live');
  for (const topic of hit) t.equal(live.get(topic)!.at(-1), String(acknowledged.get(topic)), 'the last came live');

  await victim.restart();
  await until(async () => /role:slave/.test(String(await victim.call('INFO', 'replication'))), 'it is a replica now');
  await sender.publishOrdered(hit[0]!, Buffer.from('on'));
  await until(() => live.get(hit[0]!)!.at(-1) === 'on', 'and all goes on');
});
