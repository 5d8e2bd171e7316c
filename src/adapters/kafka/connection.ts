/** How every client of Kafka connects, and the topics it needs. */
import { isIP } from 'node:net';
import type { SecureContext } from 'node:tls';
import { Admin, type BaseOptions, connectionsConnectsChannel, type SASLOptions } from '@platformatic/kafka';
import type { Logger } from '../../ports/logger.ts';

export interface KafkaConnection {
  /** `host:port`; some of them are enough. */
  brokers: readonly string[];
  clientId: string;
  /** What TLS a new connection goes by, as tls.ts opens it; absent: unencrypted. */
  tls?: (() => SecureContext) | undefined;
  sasl?: { mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'; username: string; password: string } | undefined;
}

const CONNECT_TIMEOUT_MS = 3000;

/** To which broker a connection is being made. */
let dialled = '';

// Published in the same turn in which the library then reads the options of TLS.
connectionsConnectsChannel.start.subscribe((event) => {
  const { connection, host } = event as { connection: NodeJS.EventEmitter; host: string };
  dialled = host;
  // The library listens for the first error of a connection only: a second one, as of a refused login whose socket is then reset, would
  // end the process. Whoever waits for an answer is told in any case.
  connection.on('error', () => {});
});

/** With the broker's name in the greeting (SNI), by which proxies choose; an address is no name, and Node.js refuses it there. */
const tlsOptions = (contextNow: () => SecureContext): BaseOptions['tls'] => ({
  get secureContext() {
    return contextNow();
  },
  get servername() {
    return isIP(dialled) ? undefined : dialled;
  },
});

export function baseOptions({ brokers, clientId, tls, sasl }: KafkaConnection): BaseOptions {
  return {
    clientId,
    bootstrapBrokers: [...brokers],
    connectTimeout: CONNECT_TIMEOUT_MS,
    // Whoever calls tries again, for as long as it takes.
    retries: 1,
    retryDelay: 200,
    ...(tls ? { tls: tlsOptions(tls) } : {}),
    ...(sasl ? { sasl: sasl satisfies SASLOptions } : {}),
  };
}

/**
 * What is behind the library's errors, which wrap each other: `localhost:9093: unable to verify the first certificate`, or the broker's
 * own words where it refused a login. Each reason once.
 */
export function reasonOf(error: unknown): string {
  return [...new Set(leaves(error))].join('; ');
}

/** What the library says so briefly that nobody would find out. */
const HINTS: Readonly<Record<string, string>> = {
  'Connection closed':
    'the broker ended the connection, as it does without the login or the certificate that it asks for',
};

function leaves(error: unknown): string[] {
  if (!(error instanceof Error)) return [String(error)];
  const {
    errors = [],
    cause,
    serverErrorMessage,
  } = error as Error & { errors?: unknown[]; serverErrorMessage?: string };
  const below = [...errors, ...(cause === undefined ? [] : [cause])].flatMap(leaves);
  if (below.length === 0) return [serverErrorMessage || HINTS[error.message] || error.message];
  const [, broker] = /^Connection to (.+) failed\.$/.exec(error.message) ?? [];
  return broker ? below.map((one) => `${broker}: ${one}`) : below;
}

/**
 * Makes those topics that are missing, with the brokers' own replication. Where that is not allowed the operator has made them, or
 * the first send says so.
 * @param partitions 0 leaves it to the operator
 */
export async function ensureTopics(
  connection: KafkaConnection,
  topics: readonly string[],
  partitions: number,
  log: Logger,
): Promise<void> {
  if (partitions === 0) return;
  const admin = new Admin(baseOptions(connection));
  try {
    const known = new Set(await admin.listTopics());
    for (const topic of topics) {
      if (known.has(topic)) continue;
      // One by one: another node may make the same at this moment.
      try {
        await admin.createTopics({ topics: [topic], partitions, replicas: -1 });
        log.info({ topic, partitions }, 'topic made');
      } catch (error) {
        if (!(await admin.listTopics()).includes(topic)) throw error;
      }
    }
  } finally {
    await admin.close();
  }
}
