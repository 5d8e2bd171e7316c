/**
 * A real Kafka broker for tests (KRaft, a single node), from its jars by Maven, fetched once a machine; on a free port, with a
 * folder of its own, gone with the test.
 */
import { type ChildProcess, execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../sim/free-port.ts';
import { end, findProgram, guard, startUntil, type TestScope } from './process.ts';

export interface KafkaServer {
  /** `host:port`. */
  broker: string;
  /** kill -9. */
  kill(): Promise<void>;
  /** Starts again on the same port with the same data. */
  restart(): Promise<void>;
}

/** Beside the jars: an empty data folder, which takes a JVM of its own to make. */
const FORMATTED = 'formatted';
const POM = new URL('./kafka/pom.xml', import.meta.url).pathname;
const READY_LIMIT_MS = 60_000;
const JVM = ['-Xmx256m', '-Xms64m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Djava.net.preferIPv4Stack=true'];
const QUIET = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn';
const SAY_STARTED = '-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info';
const run = promisify(execFile);

/** Resolves `{ skip }`, the reason, where its jars cannot be had; where CI=true that is an error instead. */
export async function startKafka(t: TestScope): Promise<KafkaServer | { skip: string }> {
  const fetched = await fetchKafka();
  if (typeof fetched !== 'string') return fetched;
  const jars: string = fetched;
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-kafka-'));
  const [port, controllerPort] = [await freePort(), await freePort()];
  const settings = join(folder, 'server.properties');
  const data = join(folder, 'data');
  await cp(join(jars, FORMATTED), data, { recursive: true });
  await writeFile(settings, properties(data, port, controllerPort));
  let child: ChildProcess | null = null;
  let release: () => Promise<void> = async () => {};

  async function launch(): Promise<void> {
    const args = [...JVM, QUIET, SAY_STARTED, '-cp', join(jars, '*'), 'kafka.Kafka', settings];
    const running = await startUntil('java', args, /Kafka Server started/, READY_LIMIT_MS);
    child = running.child;
    release = guard(child.pid!, folder);
  }

  async function halt(): Promise<void> {
    if (!child) return;
    await end(child, 'SIGKILL');
    child = null;
  }

  t.after(async () => {
    await halt();
    await release();
    await rm(folder, { recursive: true, force: true });
  });
  await launch();
  return {
    broker: `127.0.0.1:${port}`,
    kill: halt,
    async restart() {
      await halt();
      await release();
      await mkdir(folder, { recursive: true });
      await launch();
    },
  };
}

function properties(data: string, port: number, controllerPort: number): string {
  const lines = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
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

function missing(skip: string): { skip: string } {
  if (process.env.CI === 'true') throw new Error(skip);
  return { skip };
}

/** Makes the empty data folder of a broker beside its jars. */
async function format(jars: string): Promise<void> {
  const settings = join(jars, 'format.properties');
  await writeFile(settings, properties(join(jars, FORMATTED), 0, 0));
  const storage = ['-Xmx128m', '-XX:TieredStopAtLevel=1', QUIET, '-cp', join(jars, '*'), 'kafka.tools.StorageTool'];
  await run('java', [...storage, 'format', '-t', 'cmlkZXN0cmVhbS10ZXN0cw', '-c', settings]);
}

/** Resolves the folder with the jars, made on first use and whenever their list changes; or `{ skip }`, the reason. */
export async function fetchKafka(): Promise<string | { skip: string }> {
  const without = ['java', 'mvn'].filter((program) => !findProgram(program));
  if (without.length > 0) return missing(`Kafka: no ${without.join(', ')} for a real broker`);
  const recipe = createHash('sha256')
    .update(await readFile(POM))
    .update(properties('', 0, 0));
  const target = join(tmpdir(), `ridestream-kafka-${recipe.digest('hex').slice(0, 12)}`);
  if (existsSync(target)) return target;
  const work = await mkdtemp(`${target}.`);
  const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${work}`];
  try {
    await run('mvn', ['-q', '-B', '-f', POM, ...goal]);
    await format(work);
    await rename(work, target);
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    // Another test process that fetched at the same time may have been first.
    if (!existsSync(target)) {
      const said = (error as { stdout?: string }).stdout || String(error);
      return missing(`Kafka: it cannot be fetched by Maven and made ready: ${said.slice(0, 400)}`);
    }
  }
  return target;
}
