/** Events to and from a real Kafka over TLS, with certificates and with passwords; and what is said and kept where one of these is wrong. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import t, { type Test } from 'tap';
import type { KafkaConnection } from '../../src/adapters/kafka/connection.ts';
import { createKafkaConsumer } from '../../src/adapters/kafka/consumer.ts';
import { createKafkaSink } from '../../src/adapters/kafka/sink.ts';
import { openTls } from '../../src/adapters/kafka/tls.ts';
import { claimSpools } from '../../src/adapters/spool/folders.ts';
import { createSpooledSink } from '../../src/adapters/spool/spooled-sink.ts';
import type { RecordSink, SinkRecord } from '../../src/ports/event-sink.ts';
import type { Logger } from '../../src/ports/logger.ts';
import { recordOf } from '../adapters/spool/records.ts';
import { eventOf, reader, writer } from '../clients/kafka.ts';
import { readMetrics, sum } from '../clients/metrics.ts';
import { build } from '../helper.ts';
import { quiet } from '../realtime/node.ts';
import { assignedRide } from '../scene.ts';
import { makeCertificates } from '../servers/certificates.ts';
import { KAFKA_USER, startKafka } from '../servers/kafka.ts';
import { startProgram } from '../servers/program.ts';
import { until } from '../until.ts';

const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;
const MAX_BYTES = 10_000_000;
/** Of a batch, on a machine that does much else. */
const TIMEOUT_MS = 20_000;
const TOPIC = 'order-events';

const hosts = 'DNS:localhost,IP:127.0.0.1';
const file = await makeCertificates(t, { server: hosts, client: hosts, stranger: 'DNS:kafka.example' });
const ca = file('ca.crt');
const client = { cert: file('client.crt'), key: file('client.key') };

const open = (connection: Omit<KafkaConnection, 'clientId'>, log: Logger = quiet): RecordSink =>
  createKafkaSink({ connection: { clientId: 'test', ...connection }, partitions: 1, timeoutMs: TIMEOUT_MS, log });

t.test('a file of TLS that cannot be used is named at the start', async (t) => {
  t.throws(() => openTls({ ca: '/none.crt' }, quiet), {
    code: 'RIDE_UNAVAILABLE',
    message: /^TLS to Kafka: \/none\.crt: ENOENT/,
  });
  t.throws(() => openTls({ ca: file('ca.key') }, quiet), { message: /ca\.key: / });
  t.throws(() => openTls({ ca, cert: file('client.crt'), key: file('server.key') }, quiet), {
    message: /client\.crt, .*server\.key: .*key values mismatch/,
  });
  const settings = { PERSISTENCE_SINK: 'kafka', KAFKA_BROKERS: '127.0.0.1:1', KAFKA_TLS: 'on' };
  const program = startProgram(t, { ...settings, KAFKA_TLS_CA_FILE: '/none.crt' });
  await t.rejects(program, { message: /TLS to Kafka: \/none\.crt/ });
});

t.test('a broker with a name is asked for by it (SNI), one with an address is not', async (t) => {
  const asked = new Set<unknown>();
  const [cert, key] = await Promise.all([readFile(file('server.crt')), readFile(file('server.key'))]);
  const server = createTlsServer({ cert, key }, (socket) => {
    asked.add(socket.servername);
    socket.destroy();
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const tls = openTls({ ca }, quiet);
  for (const host of ['localhost', '127.0.0.1']) {
    const sink = open({ brokers: [`${host}:${port}`], tls });
    await t.rejects(sink.send([recordOf('a', 1)]), /Kafka: /);
    await sink.close();
  }
  t.same([...asked], ['localhost', false]);
});

t.test('a broker that refuses a login and then cuts the connection ends the attempt, and nothing else', async (t) => {
  const VERSIONS = 18;
  const UNKNOWN_MECHANISM = 33;
  const sockets = new Set<Socket>();
  // Open on its side when the other has closed, so that what comes next is an error there.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', (error) => t.comment(error.message));
    socket.on('data', (request: Buffer) => {
      const isLogin = request.readInt16BE(4) !== VERSIONS;
      const answer = Buffer.alloc(18);
      answer.writeInt32BE(answer.length - 4, 0);
      answer.writeInt32BE(request.readInt32BE(8), 4);
      answer.writeInt16BE(isLogin ? UNKNOWN_MECHANISM : 0, 8);
      socket.write(answer);
      if (isLogin) socket.once('end', () => socket.resetAndDestroy());
    });
    socket.once('close', () => sockets.delete(socket));
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sink = open({ brokers: [`127.0.0.1:${port}`], sasl: { mechanism: 'PLAIN', ...KAFKA_USER } });
  await t.rejects(sink.send([recordOf('a', 1)]), /mechanism/);
  await until(() => sockets.size === 0, 'the connection to be cut');
  await sink.close();
});

const kafka = await startKafka(t, file);
t.test('Kafka, secured', { skip: 'skip' in kafka ? kafka.skip : false }, async (t) => {
  if ('skip' in kafka) return;
  const { secured, broker } = kafka;
  const tls = openTls({ ca }, quiet);
  const login = (
    mechanism: (typeof MECHANISMS)[number],
    more: Partial<typeof KAFKA_USER> | { password: string } = {},
  ) => ({
    brokers: [secured.login],
    tls,
    sasl: { mechanism, ...KAFKA_USER, ...more },
  });
  const overTls = { brokers: [secured.tls], tls };
  const mutual = { brokers: [secured.mutual], tls: openTls({ ca, ...client }, quiet) };

  const ways: Record<string, Omit<KafkaConnection, 'clientId'>> = {
    'TLS, told by its address': overTls,
    'mutual TLS': mutual,
    ...Object.fromEntries(MECHANISMS.map((mechanism) => [`TLS and ${mechanism}`, login(mechanism)])),
  };
  /** What a member of a group of its own takes of `key`, each once. */
  function taker(t: Test, connection: Omit<KafkaConnection, 'clientId'>, groupId: string, key: string): Set<string> {
    const taken = new Set<string>();
    const consumer = createKafkaConsumer({
      connection: { clientId: 'test', ...connection },
      groupId,
      topics: [TOPIC],
      partitions: 1,
      intake: {
        async take(record) {
          if (record.key === key) taken.add(record.value.toString());
          return 'delivered';
        },
      },
      deadLetters: open(connection),
      onDeadLetter: (topic) => t.fail(`a dead letter of ${topic}`),
      lagEveryMs: 60_000,
      log: quiet,
    });
    t.after(() => consumer.close());
    consumer.start();
    return taken;
  }
  const numbered = (key: string, n: number): SinkRecord => ({ ...recordOf(key, n), payload: Buffer.from(`${n}`) });

  for (const [n, [way, connection]] of Object.entries(ways).entries()) {
    await t.test(`${way}: what leaves can be taken`, async (t) => {
      const sink = open(connection);
      t.after(() => sink.close());
      await surely(
        sink,
        [1, 2, 3].map((n) => numbered(way, n)),
      );
      const taken = taker(t, connection, `group-${n}`, way);
      await until(() => taken.size >= 3, 'the events');
      t.same([...taken], ['1', '2', '3']);
    });
  }

  const read = await reader(t, broker, [TOPIC]);
  const idsOf = (key: string) => [
    ...new Set(read.filter((one) => one.key === key).map(({ headers }) => headers.ce_id)),
  ];

  await t.test('a login is renewed before the broker ends it, and events leave and come all the while', async (t) => {
    const sink = open(login('SCRAM-SHA-512'));
    t.after(() => sink.close());
    const taken = taker(t, login('SCRAM-SHA-256'), 'group-renewed', 'renewed');
    const sent: string[] = [];
    // Twice as long as a login holds.
    for (const end = performance.now() + 3000; performance.now() < end; await new Promise((go) => setTimeout(go, 50))) {
      await surely(sink, [numbered('renewed', sent.push(`${sent.length}`) - 1)]);
    }
    await until(() => taken.size >= sent.length, 'the events');
    t.same([...taken], sent);
  });

  const others = await makeCertificates(t, {});
  const refusals: Record<
    string,
    { wrong: Omit<KafkaConnection, 'clientId'>; right: Omit<KafkaConnection, 'clientId'>; said: RegExp }
  > = {
    'an authority that is not theirs': {
      wrong: { ...overTls, tls: openTls({ ca: others('ca.crt') }, quiet) },
      right: overTls,
      said: /Kafka: 127\.0\.0\.1:\d+: .*(self-signed certificate|unable to verify the first certificate|signature)/,
    },
    'no authority': {
      wrong: { ...overTls, tls: openTls({}, quiet) },
      right: overTls,
      said: /Kafka: 127\.0\.0\.1:\d+: .*(self-signed certificate|unable to verify the first certificate)/,
    },
    'a certificate of another host': {
      wrong: { brokers: [secured.stranger], tls },
      right: overTls,
      said: /Kafka: localhost:\d+: .*does not match certificate's altnames: .*localhost.* not in .*kafka\.example/,
    },
    'a wrong password for PLAIN': {
      wrong: login('PLAIN', { password: 'guess' }),
      right: login('PLAIN'),
      said: /Kafka: localhost:\d+: Authentication failed: Invalid username or password/,
    },
    'a wrong password for SCRAM': {
      wrong: login('SCRAM-SHA-512', { password: 'guess' }),
      right: login('SCRAM-SHA-512'),
      said: /Kafka: localhost:\d+: Authentication failed.* invalid credentials .*SCRAM-SHA-512/,
    },
    'no certificate where one is asked for': {
      wrong: { ...mutual, tls },
      right: mutual,
      said: /Kafka: .*without the login or the certificate that it asks for/,
    },
    'no TLS where it is asked for': {
      wrong: { brokers: [secured.tls] },
      right: overTls,
      said: /Kafka: Broker requires TLS/,
    },
  };
  for (const [what, { wrong, right, said }] of Object.entries(refusals)) {
    await t.test(`${what}: it is said, and what waits is delivered when it is put right`, async (t) => {
      const folder = await temporary(t);
      const warnings: string[] = [];
      const log: Logger = { ...quiet, warn: (facts) => void warnings.push((facts as { err: Error }).err.message) };
      const before = await spooled(wrong, folder, log);
      for (const n of [1, 2, 3]) await before.send(recordOf(what, n));
      t.equal(before.waiting().records, 3, 'they are on the disk');
      await until(() => warnings.some((one) => said.test(one)), `a warning ${said} among ${warnings}`);
      await before.close();
      const after = await spooled(right, folder, log);
      await until(() => after.waiting().records === 0, 'the events to leave');
      await after.close();
      await until(() => idsOf(what).length >= 3, 'the events');
      t.same(
        idsOf(what),
        [1, 2, 3].map((n) => `${what}/${n}`),
      );
    });
  }

  await t.test('a server by its settings: its events leave, and those of others come', async (t) => {
    const s = await build(t, {
      env: {
        PERSISTENCE_SINK: 'kafka',
        KAFKA_BROKERS: secured.login,
        KAFKA_PARTITIONS: '1',
        KAFKA_TLS: 'on',
        KAFKA_TLS_CA_FILE: ca,
        KAFKA_SASL_USERNAME: KAFKA_USER.username,
        KAFKA_SASL_PASSWORD: KAFKA_USER.password,
        HEARTBEAT_TIMEOUT: '2m',
      },
    });
    const ride = await assignedRide(t, s);
    const seqs = () => read.filter(({ key }) => key === ride.id).map((one) => Number(eventOf(one).seq));
    await until(() => seqs().length >= 3, 'its events');
    t.same(seqs(), [1, 2, 3]);
    await writer(t, broker)(TOPIC, ride.id, Buffer.from('no event'));
    const count = async (outcome: string) =>
      sum(await readMetrics(s.at.metrics), 'realtime_kafka_events_total', { topic: TOPIC, outcome });
    await until(async () => (await count('own')) >= 3 && (await count('dead_letter')) >= 1, 'what comes to be taken');
  });
});
t.end();

/** Until the broker has them: its first handshakes may take longer than is waited for. */
function surely(sink: RecordSink, records: readonly SinkRecord[]): Promise<void> {
  return until(
    () =>
      sink.send(records).then(
        () => true,
        () => false,
      ),
    'the broker to take them',
  );
}

async function temporary(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ridestream-secured-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function spooled(connection: Omit<KafkaConnection, 'clientId'>, folder: string, log: Logger) {
  const spools = await claimSpools(folder, { maxBytes: MAX_BYTES, segmentBytes: MAX_BYTES, log: quiet });
  const sink = open(connection, log);
  return createSpooledSink({ sink, spools, maxBytes: MAX_BYTES, timeoutMs: TIMEOUT_MS, log, onOutcome() {} });
}
