/** What happens to a group's place, and to the sink's topics, when the world changes under them; on a real broker. */
import { Admin, Consumer, ListOffsetTimestamps } from '@platformatic/kafka';
import t, { type Test } from 'tap';
import { ensureTopics, type KafkaConnection } from '../../../src/adapters/kafka/connection.ts';
import { createKafkaConsumer } from '../../../src/adapters/kafka/consumer.ts';
import { createKafkaSink } from '../../../src/adapters/kafka/sink.ts';
import { RideError } from '../../../src/errors.ts';
import { RecordsRefused } from '../../../src/ports/event-sink.ts';
import { reader, writer } from '../../clients/kafka.ts';
import { quiet } from '../../realtime/node.ts';
import { startKafka } from '../../servers/kafka.ts';
import { until } from '../../until.ts';
import { recordOf } from '../spool/records.ts';

const TIMEOUT_MS = 20_000;
const GROUP = 'handover-group';

const kafka = await startKafka(t);
t.test('Kafka', { skip: 'skip' in kafka ? kafka.skip : false }, async (t) => {
  if ('skip' in kafka) return;
  const connection: KafkaConnection = { brokers: [kafka.broker], clientId: 'test' };
  const sinkOf = () => createKafkaSink({ connection, partitions: 1, timeoutMs: TIMEOUT_MS, log: quiet });
  /** A member of the group. A batch with events of both partitions has its effect only when `go` resolves. */
  function member(t: Test, topic: string, go: Promise<void>) {
    const facts = { partitions: new Set<number>(), isHeld: false };
    let batch: Set<number> | null = null;
    const consumer = createKafkaConsumer({
      connection,
      groupId: GROUP,
      topics: [topic],
      partitions: 0,
      intake: {
        async take({ partition }) {
          facts.partitions.add(partition);
          batch ??= new Set();
          const mine = batch.add(partition);
          // All keys of a batch are begun in one turn.
          await new Promise((resolve) => setImmediate(resolve));
          batch = null;
          if (mine.size === 2) {
            facts.isHeld = true;
            await go;
          }
          return 'delivered';
        },
      },
      deadLetters: sinkOf(),
      onDeadLetter: () => t.fail('nothing is put aside'),
      lagEveryMs: 60_000,
      log: quiet,
    });
    t.after(() => consumer.close());
    consumer.start();
    return facts;
  }

  await t.test('who is still at work on what another has by now does not set him back', async (t) => {
    const topic = 'handover';
    await ensureTopics(connection, [topic], 2, quiet);
    const keys = Array.from({ length: 20 }, (_, n) => `key-${n}`);
    const write = writer(t, kafka.broker);
    const onlooker = new Consumer({ clientId: 'onlooker', groupId: GROUP, bootstrapBrokers: [kafka.broker] });
    t.after(() => onlooker.close(true));
    async function isAtEnd(partition: number): Promise<boolean> {
      const which = { topics: [topic], partitions: { [topic]: [partition] }, timestamp: ListOffsetTimestamps.LATEST };
      const ends = await onlooker.listOffsets(which);
      const places = await onlooker.listCommittedOffsets({ topics: [{ topic, partitions: [partition] }] });
      return ends.get(topic)![partition] === places.get(topic)![partition];
    }

    const writeAll = async () => void (await Promise.all(keys.map((key) => write(topic, key, Buffer.from('event')))));

    const release = Promise.withResolvers<void>();
    const slow = member(t, topic, release.promise);
    await until(() => slow.isHeld || writeAll().then(() => slow.isHeld), 'both partitions to be at work');
    const quick = member(t, topic, Promise.resolve());
    await until(() => quick.partitions.size > 0, 'the other to have one of them');
    const [given] = [...quick.partitions] as [number];
    await writeAll();
    await until(() => isAtEnd(given), 'the other to be at the end of it');
    t.notOk(await isAtEnd(1 - given), 'nothing of what is at work is committed');
    release.resolve();
    // His commit of what was at work was over when he committed this.
    await until(() => isAtEnd(1 - given), 'the slow one to be at the end of what is left to him');
    t.ok(await isAtEnd(given), 'the place of the other is as it was');
    t.same([...quick.partitions], [given]);
  });

  await t.test(
    'a record that is too large or breaks a rule of its topic is refused for good, others may pass',
    async (t) => {
      const admin = new Admin({ clientId: 'operator', bootstrapBrokers: [kafka.broker] });
      t.after(() => admin.close());
      const sink = createKafkaSink({ connection, partitions: 0, timeoutMs: TIMEOUT_MS, log: quiet });
      t.after(() => sink.close());
      const make = (topic: string, name: string, value: string) =>
        admin.createTopics({ topics: [topic], partitions: 1, replicas: 1, configs: [{ name, value }] });
      await make('narrow', 'max.message.bytes', '2000');
      await make('strict', 'cleanup.policy', 'compact');
      const narrow = (n: number, bytes?: number) => ({ ...recordOf('a', n, bytes), topic: 'narrow' });
      const refusal = (records: Parameters<typeof sink.send>[0]) =>
        sink.send(records).then(
          () => null,
          (error: unknown) => error,
        );
      await until(async () => (await refusal([narrow(0)])) === null, 'the topic to be there');
      for (const records of [[narrow(1, 3000)], [narrow(1), narrow(2, 3000), narrow(3)]]) {
        const error = await refusal(records);
        t.ok(error instanceof RecordsRefused, String(error));
      }
      t.equal(await refusal([narrow(3, 1500)]), null, 'and takes what is not');
      // What has no key cannot be compacted.
      const keyless = { ...recordOf('a', 1), topic: 'strict', key: undefined as unknown as string };
      await until(async () => (await refusal([{ ...keyless, key: 'a' }])) === null, 'the topic to be there');
      const invalid = await refusal([keyless]);
      t.ok(invalid instanceof RecordsRefused, String(invalid));
      const nowhere = await refusal([{ ...recordOf('a', 1), topic: 'nowhere' }]);
      t.ok(nowhere instanceof Error && !(nowhere instanceof RecordsRefused), 'a topic that is not there may come');
    },
  );

  await t.test(
    'a dead letter that is too large for its topic is told by its place, and what is behind it is read',
    async (t) => {
      const admin = new Admin({ clientId: 'operator', bootstrapBrokers: [kafka.broker] });
      t.after(() => admin.close());
      const configs = [{ name: 'max.message.bytes', value: '2000' }];
      await admin.createTopics({ topics: ['wide'], partitions: 1, replicas: 1 });
      await admin.createTopics({ topics: ['wide.dead-letters'], partitions: 1, replicas: 1, configs });
      const buried: string[] = [];
      const taken: string[] = [];
      const consumer = createKafkaConsumer({
        connection,
        groupId: 'wide-group',
        topics: ['wide'],
        partitions: 0,
        intake: {
          async take({ key }) {
            if (key !== 'good') throw new RideError('RIDE_MALFORMED', 'cannot be read');
            taken.push(key);
            return 'delivered';
          },
        },
        deadLetters: createKafkaSink({ connection, partitions: 0, timeoutMs: TIMEOUT_MS, log: quiet }),
        onDeadLetter: (topic) => buried.push(topic),
        lagEveryMs: 60_000,
        log: quiet,
      });
      t.after(() => consumer.close());
      const write = writer(t, kafka.broker);
      const small = Buffer.from('small');
      for (const [key, value] of [
        ['small', small],
        ['large', Buffer.alloc(3000)],
        ['k'.repeat(3000), small],
        ['good', small],
      ] as const)
        await write('wide', key, value);
      consumer.start();
      await until(() => buried.length === 3 && taken.length === 1, 'all of them to be done with');
      const read = await reader(t, kafka.broker, ['wide.dead-letters']);
      await until(() => read.length === 3, 'the letters');
      const letterOf = (key: string) => read.find((one) => one.key === key)!;
      t.same([letterOf('small').value, letterOf('large').value.length], [small, 0]);
      t.match(letterOf('k'.repeat(250)).headers, { 'x-dead-letter-offset': '2' }, 'also of one whose key is');
      t.match(letterOf('large').headers, {
        'x-dead-letter-reason': 'cannot be read',
        'x-dead-letter-offset': '1',
        'x-dead-letter-omitted-bytes': '3000',
      });
    },
  );

  await t.test('a topic that is gone is made anew, and what waits for it leaves', async (t) => {
    const sink = sinkOf();
    t.after(() => sink.close());
    const record = { ...recordOf('a', 1), topic: 'chat-events' };
    await sink.send([record]);
    const admin = new Admin({ clientId: 'operator', bootstrapBrokers: [kafka.broker] });
    t.after(() => admin.close());
    await admin.deleteTopics({ topics: ['chat-events'] });
    const isSent = () =>
      sink.send([{ ...record, id: 'a/2', headers: { ce_id: 'a/2' } }]).then(
        () => true,
        () => false,
      );
    await until(isSent, 'the broker to take it');
    const read = await reader(t, kafka.broker, ['chat-events']);
    await until(() => read.length > 0, 'the event');
    t.equal(read[0]!.headers.ce_id, 'a/2');
  });
});
t.end();
