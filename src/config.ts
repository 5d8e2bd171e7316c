/**
 * Every setting, once: name, kind, default, rule, and what it does. From this table, whose parts lie in src/config/, come the
 * typed Config, the errors of a bad value, and docs/settings.md (held against it by a test). Only src/main.ts hands in
 * process.env.
 *
 * Names of document B (`GRPC_LISTEN_ADDR` …) are contracts.
 */
import { resolve } from 'node:path';
import { departuresSettings } from './config/departures.ts';
import { intelligenceSettings } from './config/intelligence.ts';
import type { Kind, ListenAddress, Setting } from './config/kinds.ts';
import { limitsSettings } from './config/limits.ts';
import { operationSettings } from './config/operation.ts';
import { pricingSettings } from './config/pricing.ts';
import { processSettings } from './config/process.ts';
import { ridesSettings } from './config/rides.ts';
import { routingSettings } from './config/routing.ts';
import { sinkSettings } from './config/sink.ts';
import { streamsSettings } from './config/streams.ts';

export type { ListenAddress } from './config/kinds.ts';

/** The table. Order is the order of docs/settings.md. */
export const settings = {
  ...processSettings,
  ...streamsSettings,
  ...ridesSettings,
  ...pricingSettings,
  ...routingSettings,
  ...intelligenceSettings,
  ...departuresSettings,
  ...limitsSettings,
  ...sinkSettings,
  ...operationSettings,
} as const;

type Settings = typeof settings;
type ValueOf<S> = S extends { kind: Kind<infer T>; default: string }
  ? T
  : S extends { kind: Kind<infer T> }
    ? T | undefined
    : never;

/** All settings, parsed. Durations in milliseconds. Frozen. */
export type Config = Readonly<{ [K in keyof Settings]: ValueOf<Settings[K]> }>;

/** A setting that cannot be used: the message names the variable, the value and the rule. */
export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

const DEVELOPMENT_SECRET = settings.jwtSecret.default;

const LISTENERS = ['httpListen', 'grpcListen', 'metricsListen'] as const;

const WHY_NOT: Record<string, string> = {
  EADDRINUSE: 'is in use by another program',
  EADDRNOTAVAIL: 'is no address of this machine',
  EACCES: 'may not be listened on by this user',
};

/** What a listener could not do, with the settings that name its port; null for any other failure. */
export function listenProblem(error: unknown, config: Config): ConfigError | null {
  const { code, syscall, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  const why = WHY_NOT[code ?? ''];
  if (syscall !== 'listen' || why === undefined || port === undefined) return null;
  const names = LISTENERS.filter((key) => config[key].port === port).map((key) => settings[key].name);
  return new ConfigError([`${names.join(', ')}: ${address}:${port} ${why}`]);
}

/**
 * Reads the settings out of `env`.
 * @throws ConfigError with one line for each problem, all at once.
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(settings) as [string, Setting<unknown>][]) {
    const raw = env[setting.name];
    const given = raw === undefined || raw === '' ? setting.default : raw;
    if (given === undefined) continue;
    const value = setting.kind.parse(given);
    if (value === undefined) {
      const shown = setting.secret ? 'its value' : JSON.stringify(given);
      problems.push(`${setting.name}: ${shown} must be ${setting.kind.rule}`);
    }
    values[key] = value;
  }
  if (problems.length === 0) problems.push(...crossChecks(values as Config));
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(bindToLoopback(values as Config));
}

/** A worker's own name is this name, its number, and how often it was restarted: `-w256-99999`. */
const WORKER_NODE_ID_MAX = 20;

/** Rules between settings. */
function crossChecks(c: Config): string[] {
  const problems: string[] = [];
  if (c.heartbeatTimeout <= c.heartbeatInterval) {
    problems.push(
      `HEARTBEAT_TIMEOUT: ${c.heartbeatTimeout}ms must be longer than HEARTBEAT_INTERVAL (${c.heartbeatInterval}ms)`,
    );
  }
  if ((c.grpcTlsCert === undefined) !== (c.grpcTlsKey === undefined)) {
    problems.push('GRPC_TLS_CERT_FILE and GRPC_TLS_KEY_FILE must be set together');
  }
  if (c.grpcTlsClientCa !== undefined && c.grpcTlsCert === undefined) {
    problems.push('GRPC_TLS_CLIENT_CA_FILE must come with GRPC_TLS_CERT_FILE');
  }
  if (c.routingEngine !== 'none' && c.routingUrl === undefined) {
    problems.push('ROUTING_URL: must come with ROUTING_ENGINE');
  }
  if (c.workers > 1 && c.nodeId !== undefined && c.nodeId.length > WORKER_NODE_ID_MAX) {
    problems.push(`NODE_ID: must be at most ${WORKER_NODE_ID_MAX} characters with WORKERS, whose number follows it`);
  }
  if (c.persistenceSink === 'kafka' && c.kafkaBrokers === undefined) {
    problems.push('KAFKA_BROKERS: must be set when PERSISTENCE_SINK is kafka');
  }
  if (c.persistenceSink === 'pulsar' && c.pulsarUrl === undefined) {
    problems.push('PULSAR_URL: must be set when PERSISTENCE_SINK is pulsar');
  }
  if ((c.kafkaSaslUsername === undefined) !== (c.kafkaSaslPassword === undefined)) {
    problems.push('KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD must be set together');
  }
  if ((c.kafkaTlsCert === undefined) !== (c.kafkaTlsKey === undefined)) {
    problems.push('KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE must be set together');
  }
  if ((c.kafkaTlsCa !== undefined || c.kafkaTlsCert !== undefined) && c.kafkaTls === 'off') {
    problems.push('KAFKA_TLS_CA_FILE and KAFKA_TLS_CERT_FILE must come with KAFKA_TLS on');
  }
  if (c.paymentsRenewAhead >= c.paymentsHoldLife) {
    problems.push('PAYMENTS_RENEW_AHEAD: must be shorter than PAYMENTS_HOLD_LIFE, or what is made anew lapses too');
  }
  if (c.mode === 'production') {
    if (c.jwtSecret === DEVELOPMENT_SECRET || c.jwtSecret.length < 32) {
      problems.push('JWT_SECRET: must be a secret of at least 32 characters in production mode');
    }
    if ([c.quoteSecret, c.quoteSecretPrevious].some((secret) => secret !== undefined && secret.length < 32)) {
      problems.push(
        'QUOTE_SECRET and QUOTE_SECRET_PREVIOUS: must be secrets of at least 32 characters in production mode',
      );
    }
    if (c.paymentsProvider === 'development') {
      problems.push('PAYMENTS_PROVIDER: must not be development in production mode');
    }
    if (c.clockSpeed !== 1 || c.clockStart !== undefined) {
      problems.push('CLOCK_SPEED and CLOCK_START: must be left alone in production mode');
    }
  }
  if ((c.clockSpeed !== 1 || c.clockStart !== undefined) && c.redisUrl !== undefined && c.clockAnchor === undefined) {
    problems.push('CLOCK_ANCHOR: must be set when CLOCK_SPEED or CLOCK_START is used on a shared REDIS_URL');
  }
  return problems;
}

/** Development mode hands out tokens to anyone, so it listens on loopback unless the operator names a host. */
function bindToLoopback(c: Config): Config {
  const fallback = c.mode === 'development' ? '127.0.0.1' : '::';
  const bind = (a: ListenAddress): ListenAddress => ({ host: a.host === '' ? fallback : a.host, port: a.port });
  return {
    ...c,
    httpListen: bind(c.httpListen),
    grpcListen: bind(c.grpcListen),
    metricsListen: bind(c.metricsListen),
    sqliteFile: c.sqliteFile ?? resolve(c.dataDir, 'ridestream.sqlite'),
  };
}
