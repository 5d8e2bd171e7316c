/**
 * A real Kafka broker for tests (KRaft, a single node), from its jars by Maven, fetched once a machine; on a free port, with a
 * folder of its own, gone with the test.
 */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../sim/free-port.ts';
import { fetchJars } from './jars.ts';
import { keepServer, startUntil, type TestScope } from './process.ts';

export interface KafkaServer {
  /** `host:port`. */
  broker: string;
  /** Of each secured listener, where there are any. */
  secured: Readonly<Record<SecuredListener, string>>;
  /** kill -9. */
  kill(): Promise<void>;
  /** Starts again on the same port with the same data. */
  restart(): Promise<void>;
}

/**
 * `tls` is told by its address, the others by name. `login` asks for a name and a password too, `mutual` for a certificate, and the
 * certificate of `stranger` is that of another host.
 */
type SecuredListener = 'tls' | 'login' | 'mutual' | 'stranger';

/** Paths of what certificates.ts makes: of `server`, `stranger` and the authority. */
type CertificateFiles = (name: string) => string;

/** Who may come in at `login`. */
export const KAFKA_USER = { username: 'rides', password: 'a ride = a secret' } as const;
const SCRAM = ['SCRAM-SHA-256', 'SCRAM-SHA-512'];

/** Beside the jars: an empty data folder, which takes a JVM of its own to make. */
const FORMATTED = 'formatted';
const POM = new URL('./kafka/pom.xml', import.meta.url).pathname;
const READY_LIMIT_MS = 60_000;
const JVM = ['-Xmx256m', '-Xms64m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Djava.net.preferIPv4Stack=true'];
const QUIET = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn';
const SAY_STARTED = '-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info';
const run = promisify(execFile);

/**
 * Resolves `{ skip }`, the reason, where its jars cannot be had; where CI=true that is an error instead.
 * @param certificates with them it has the secured listeners too
 */
export async function startKafka(
  t: TestScope,
  certificates?: CertificateFiles,
): Promise<KafkaServer | { skip: string }> {
  const fetched = await fetchKafka();
  if (typeof fetched !== 'string') return fetched;
  const jars: string = fetched;
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-kafka-'));
  const [port, controllerPort] = [await freePort(), await freePort()];
  const settings = join(folder, 'server.properties');
  const data = join(folder, 'data');
  await cp(join(jars, FORMATTED), data, { recursive: true });
  const secured = certificates && (await securedListeners(certificates));
  await writeFile(settings, properties(data, port, controllerPort, secured));
  const args = [...JVM, QUIET, SAY_STARTED, '-cp', join(jars, '*'), 'kafka.Kafka', settings];
  const server = keepServer(t, folder, () => startUntil('java', args, /Kafka Server started/, READY_LIMIT_MS));
  await server.start();
  return {
    broker: `127.0.0.1:${port}`,
    secured: secured?.addresses ?? { tls: '', login: '', mutual: '', stranger: '' },
    kill: () => server.halt('SIGKILL'),
    restart: () => server.restart('SIGKILL'),
  };
}

interface Secured {
  addresses: Record<SecuredListener, string>;
  settings: Record<string, string | number>;
}

async function securedListeners(file: CertificateFiles): Promise<Secured> {
  const [tls, login, mutual, stranger] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const addresses = {
    tls: `127.0.0.1:${tls}`,
    login: `localhost:${login}`,
    mutual: `localhost:${mutual}`,
    stranger: `localhost:${stranger}`,
  };
  const { username, password } = KAFKA_USER;
  const settings: Secured['settings'] = {
    'listener.name.mutual.ssl.client.auth': 'required',
    'listener.name.login.sasl.enabled.mechanisms': ['PLAIN', ...SCRAM].join(),
    'listener.name.login.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required user_${username}="${password}";`,
    // A login is renewed before it is so old.
    'listener.name.login.connections.max.reauth.ms': 1500,
  };
  for (const mechanism of SCRAM) {
    settings[`listener.name.login.${mechanism.toLowerCase()}.sasl.jaas.config`] =
      'org.apache.kafka.common.security.scram.ScramLoginModule required;';
  }
  for (const name of Object.keys(addresses)) {
    settings[`listener.name.${name}.ssl.keystore.type`] = 'PEM';
    settings[`listener.name.${name}.ssl.keystore.location`] = file(name === 'stranger' ? 'stranger.pem' : 'server.pem');
    settings[`listener.name.${name}.ssl.truststore.type`] = 'PEM';
    settings[`listener.name.${name}.ssl.truststore.location`] = file('ca.crt');
  }
  return { addresses, settings };
}

function properties(data: string, port: number, controllerPort: number, secured?: Secured): string {
  const more = Object.entries(secured?.addresses ?? {});
  const listeners = more.map(([name, address]) => `,${name}://127.0.0.1:${address.split(':')[1]}`).join('');
  const advertised = more.map(([name, address]) => `,${name}://${address}`).join('');
  const protocols = more.map(([name]) => `,${name}:${name === 'login' ? 'SASL_SSL' : 'SSL'}`).join('');
  const lines = {
    ...secured?.settings,
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}${listeners}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}${advertised}`,
    'listener.security.protocol.map': `PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT${protocols}`,
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': data,
    'default.replication.factor': 1,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 2,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    // One that was killed is let in again when its former life is given up.
    'broker.session.timeout.ms': 4000,
    'broker.heartbeat.interval.ms': 1000,
    // A member that was killed is missed soon.
    'group.min.session.timeout.ms': 1000,
    'auto.create.topics.enable': false,
    'log.cleaner.dedupe.buffer.size': 8_388_608,
  };
  return Object.entries(lines)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/** They are part of the data, unlike the passwords of PLAIN. */
const LOGINS = SCRAM.flatMap((mechanism) => [
  '--add-scram',
  `${mechanism}=[name=${KAFKA_USER.username},password="${KAFKA_USER.password}"]`,
]);

/** Makes the empty data folder of a broker beside its jars. */
async function format(jars: string): Promise<void> {
  const settings = join(jars, 'format.properties');
  await writeFile(settings, properties(join(jars, FORMATTED), 0, 0));
  const storage = ['-Xmx128m', '-XX:TieredStopAtLevel=1', QUIET, '-cp', join(jars, '*'), 'kafka.tools.StorageTool'];
  await run('java', [...storage, 'format', '-t', 'cmlkZXN0cmVhbS10ZXN0cw', '-c', settings, ...LOGINS]);
}

/** Resolves the folder with the jars, and an empty data folder beside them; or `{ skip }`, the reason. */
export function fetchKafka(): Promise<string | { skip: string }> {
  return fetchJars({ name: 'Kafka', pom: POM, goesBy: properties('', 0, 0) + LOGINS.join(), prepare: format });
}
