/**
 * A real Pulsar (standalone: broker, bookie and metadata in one process) for `script/pulsar-test`, from its jars by Maven, about
 * 200 MB, fetched once a machine; on free ports, with a folder of its own, gone with the test. It keeps everything that is written
 * to it, and lets in who shows its token.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../sim/free-port.ts';
import { until } from '../until.ts';
import { fetchJars } from './jars.ts';
import { keepServer, startUntil, type TestScope } from './process.ts';

export interface RealPulsar {
  /** Of its WebSocket service. */
  url: string;
  token: string;
  /** kill -9. */
  kill(): Promise<void>;
  /** Starts again on the same ports with the same data. */
  restart(): Promise<void>;
}

const POM = new URL('./pulsar/pom.xml', import.meta.url).pathname;
const READY_LIMIT_MS = 90_000;
const JVM = [
  ...['-Xmx512m', '-XX:MaxDirectMemorySize=512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
  '-Djava.net.preferIPv4Stack=true',
  // What its own start script opens.
  ...[
    'java.base/java.lang',
    'java.base/java.nio',
    'java.base/java.util',
    'java.base/java.util.zip',
    'java.base/jdk.internal.misc',
    'java.base/jdk.internal.platform',
    'java.base/sun.net',
    'java.management/sun.management',
  ].flatMap((name) => ['--add-opens', `${name}=ALL-UNNAMED`]),
];
const ARGUMENTS = ['--no-functions-worker', '--no-stream-storage', '-a', '127.0.0.1'];
const LOG = `<Configuration><Appenders><Console name="c"><PatternLayout pattern="%-5p %c{1} %m%n"/></Console></Appenders>
<Loggers><Root level="warn"><AppenderRef ref="c"/></Root><Logger name="org.apache.pulsar.broker.PulsarService" level="info"/></Loggers>
</Configuration>`;

/** A token as Pulsar's own are: a JWT, HS256. */
function tokenOf(subject: string, secret: Buffer): string {
  const parts = [{ alg: 'HS256' }, { sub: subject }].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  const signature = createHmac('sha256', secret).update(parts.join('.')).digest('base64url');
  return [...parts, signature].join('.');
}

function configuration(port: number, brokerPort: number, secret: Buffer, token: string): string {
  const lines = {
    clusterName: 'standalone',
    bindAddress: '127.0.0.1',
    advertisedAddress: '127.0.0.1',
    webServicePort: port,
    brokerServicePort: brokerPort,
    webSocketServiceEnabled: true,
    // Else the bookie takes another port with every start, and its data is another bookie's.
    allowEphemeralPorts: true,
    managedLedgerDefaultEnsembleSize: 1,
    managedLedgerDefaultWriteQuorum: 1,
    managedLedgerDefaultAckQuorum: 1,
    loadManagerClassName: 'org.apache.pulsar.broker.loadbalance.NoopLoadManager',
    numIOThreads: 2,
    numHttpServerThreads: 8,
    systemTopicEnabled: false,
    topicLevelPoliciesEnabled: false,
    // A topic that nobody has subscribed to yet keeps its events.
    defaultRetentionTimeInMinutes: -1,
    defaultRetentionSizeInMB: -1,
    authenticationEnabled: true,
    authenticationProviders: 'org.apache.pulsar.broker.authentication.AuthenticationProviderToken',
    tokenSecretKey: `data:;base64,${secret.toString('base64')}`,
    brokerClientAuthenticationPlugin: 'org.apache.pulsar.client.impl.auth.AuthenticationToken',
    brokerClientAuthenticationParameters: `token:${token}`,
  };
  return Object.entries(lines)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/** Resolves `{ skip }`, the reason, where its jars cannot be had; where CI=true that is an error instead. */
export async function startRealPulsar(t: TestScope): Promise<RealPulsar | { skip: string }> {
  const jars = await fetchJars({ name: 'Pulsar', pom: POM });
  if (typeof jars !== 'string') return jars;
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-pulsar-server-'));
  const file = (name: string): string => join(folder, name);
  const [port, brokerPort, bookiePort] = [await freePort(), await freePort(), await freePort()];
  const secret = randomBytes(32);
  const token = tokenOf('ridestream', secret);
  await writeFile(file('standalone.conf'), configuration(port, brokerPort, secret, token));
  await writeFile(file('log4j2.xml'), LOG);
  const places = ['--metadata-dir', file('metadata'), '--bookkeeper-dir', file('bookkeeper')];
  const program = ['-cp', join(jars, '*'), 'org.apache.pulsar.PulsarStandaloneStarter', '-c', file('standalone.conf')];
  const options = [...JVM, `-Dlog4j2.configurationFile=${file('log4j2.xml')}`, ...program];
  const args = [...options, ...places, '--bookkeeper-port', String(bookiePort), ...ARGUMENTS];
  const server = keepServer(t, folder, () => startUntil('java', args, /messaging service is ready/, READY_LIMIT_MS));

  /** Its first namespace comes a moment after it is ready. */
  async function settled(): Promise<void> {
    const namespaces = `http://127.0.0.1:${port}/admin/v2/namespaces/public`;
    const headers = { authorization: `Bearer ${token}` };
    const hasDefault = () =>
      fetch(namespaces, { headers }).then((answer) => answer.text().then((text) => text.includes('public/default')));
    await until(hasDefault, 'the namespace public/default', READY_LIMIT_MS);
  }

  await server.start();
  await settled();
  return {
    url: `ws://127.0.0.1:${port}`,
    token,
    kill: () => server.halt('SIGKILL'),
    async restart() {
      await server.restart('SIGKILL');
      await settled();
    },
  };
}
