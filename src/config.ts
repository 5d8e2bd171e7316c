/**
 * Every setting, once: name, kind, default, rule, and what it does. From this table come the typed Config, the errors of a
 * bad value, and docs/settings.md (held against it by a test). Only src/main.ts hands in process.env.
 *
 * Names of document B (`GRPC_LISTEN_ADDR` …) are contracts.
 */
import { isAbsolute, resolve } from 'node:path';

/** How a variable's text becomes a value; `rule` completes the sentence "NAME must be …". */
interface Kind<T> {
  rule: string;
  parse(text: string): T | undefined;
}

interface Setting<T> {
  name: string;
  kind: Kind<T>;
  /** As text, the way an operator would write it; undefined: the setting may be absent. */
  default?: string;
  doc: string;
  /** Value shown in the docs must be hidden, e.g. a secret. */
  secret?: boolean;
}

export interface ListenAddress {
  host: string;
  port: number;
}

const text: Kind<string> = { rule: 'a text that is not empty', parse: (s) => (s === '' ? undefined : s) };

const slug: Kind<string> = {
  rule: '1 to 32 lower-case letters, digits or hyphens',
  parse: (s) => (/^[a-z0-9-]{1,32}$/.test(s) ? s : undefined),
};

const path: Kind<string> = { rule: 'a path', parse: (s) => (s === '' ? undefined : isAbsolute(s) ? s : resolve(s)) };

function oneOf<const T extends string>(...values: readonly T[]): Kind<T> {
  return { rule: `one of ${values.join(', ')}`, parse: (s) => values.find((value) => value === s) };
}

function integer(min: number, max: number): Kind<number> {
  return {
    rule: `a whole number from ${min} to ${max}`,
    parse: (s) => {
      const n = Number(s);
      return /^-?\d+$/.test(s) && n >= min && n <= max ? n : undefined;
    },
  };
}

function decimal(min: number, max: number): Kind<number> {
  return {
    rule: `a number from ${min} to ${max}`,
    parse: (s) => {
      const n = Number(s);
      return s.trim() !== '' && Number.isFinite(n) && n >= min && n <= max ? n : undefined;
    },
  };
}

const DURATION_UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** In the largest unit that divides it: 86400000 → `1d`. */
function formatDuration(ms: number): string {
  const [unit, size] = Object.entries(DURATION_UNIT_MS).findLast(([, one]) => ms >= one && ms % one === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}

/** Go's style, as in document B: `5s`, `250ms`, `24h`. Value in milliseconds. */
function duration(minMs: number, maxMs: number): Kind<number> {
  return {
    rule: `a duration such as 250ms, 5s, 10m or 24h, from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`,
    parse: (s) => {
      const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(s);
      if (!match) return undefined;
      const ms = Number(match[1]) * DURATION_UNIT_MS[match[2]!]!;
      return ms >= minMs && ms <= maxMs ? ms : undefined;
    },
  };
}

const listenAddress: Kind<ListenAddress> = {
  rule: '[host]:port with a port from 0 (any free one) to 65535, e.g. :8080, 127.0.0.1:8080 or [::1]:8080',
  parse: (s) => {
    const match = /^(\[[0-9a-fA-F:]+\]|[^:[\]]*):(\d{1,5})$/.exec(s);
    if (!match || Number(match[2]) > 65535) return undefined;
    return { host: match[1]!.replace(/^\[|\]$/g, ''), port: Number(match[2]) };
  },
};

function url(...protocols: readonly string[]): Kind<string> {
  return {
    rule: `a URL that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`,
    parse: (s) => {
      // A MongoDB URL may name several hosts, which is no URL to anyone else.
      const isUrl = s.startsWith('mongodb') || URL.canParse(s);
      return isUrl && protocols.some((p) => s.startsWith(`${p}//`)) ? s : undefined;
    },
  };
}

const redisUrl: Kind<string> = {
  rule: 'redis://host:port, rediss://host:port, unix:///path, or for a cluster redis-cluster://host:port,host:port (rediss-cluster:// with TLS), each with user:password@ where needed',
  parse: (s) => {
    const cluster = /^rediss?-cluster:\/\/(?:[^@/]*@)?([^/@]+)\/?$/.exec(s);
    if (cluster) return cluster[1]!.split(',').every(isHost) ? s : undefined;
    return /^unix:\/./.test(s) || (/^rediss?:\/\/./.test(s) && URL.canParse(s)) ? s : undefined;
  },
};

/** `host`, `host:port` or `[::1]:port`. */
const isHost = (s: string): boolean => /^([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?$/.test(s);

const timeZone: Kind<string> = {
  rule: 'an IANA time zone such as America/New_York',
  parse: (s) => {
    try {
      return new Intl.DateTimeFormat('en', { timeZone: s }).resolvedOptions().timeZone;
    } catch {
      return undefined; // not a time zone: the caller says the rule
    }
  },
};

const instant: Kind<number> = {
  rule: 'an RFC 3339 time such as 2015-01-15T08:00:00-05:00',
  parse: (s) => (/^\d{4}-\d\d-\d\dT/.test(s) && !Number.isNaN(Date.parse(s)) ? Date.parse(s) : undefined),
};

const required = <T>(name: string, kind: Kind<T>, value: string, doc: string): Setting<T> & { default: string } => ({
  name,
  kind,
  default: value,
  doc,
});
const optional = <T>(name: string, kind: Kind<T>, doc: string, secret = false): Setting<T> => ({
  name,
  kind,
  doc,
  secret,
});

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The table. Order is the order of docs/settings.md. */
export const settings = {
  mode: required(
    'RIDESTREAM_MODE',
    oneOf('development', 'production'),
    'development',
    'In development mode tokens are handed out freely and every listener binds to loopback unless it names a host; production refuses to start on development secrets.',
  ),
  httpListen: required('HTTP_LISTEN_ADDR', listenAddress, ':8080', 'REST, WebSocket and the web pages.'),
  grpcListen: required('GRPC_LISTEN_ADDR', listenAddress, ':7443', 'gRPC (h2c, or TLS when a certificate is set).'),
  metricsListen: required('METRICS_LISTEN_ADDR', listenAddress, ':9090', 'Prometheus metrics at /metrics.'),
  grpcTlsCert: optional('GRPC_TLS_CERT_FILE', path, 'Certificate chain (PEM) of the gRPC listener; turns TLS on.'),
  grpcTlsKey: optional('GRPC_TLS_KEY_FILE', path, 'Private key (PEM) of that certificate.'),
  grpcTlsClientCa: optional(
    'GRPC_TLS_CLIENT_CA_FILE',
    path,
    'CA (PEM) that client certificates must come from; turns mutual TLS on.',
  ),
  workers: required(
    'WORKERS',
    integer(1, 256),
    '1',
    'Processes that share the ports of this machine, each a node of its own under a supervisor that restarts it; one where the system cannot share ports (macOS, Windows).',
  ),
  nodeId: optional(
    'NODE_ID',
    slug,
    'Name of this process among the nodes; default: host name and process id. With WORKERS each adds its number.',
  ),
  region: required('REGION', slug, 'local', 'Home region; part of every id and of the shard key.'),
  city: required('CITY', slug, 'city', 'City of trips and drivers that do not name one.'),
  dataDir: required('DATA_DIR', path, 'data', 'Folder of the embedded Redis and SQLite.'),
  redisUrl: optional(
    'REDIS_URL',
    redisUrl,
    'Redis: one server, or with redis-cluster: some nodes of a cluster; without it a private redis-server is started.',
    true,
  ),
  redisServer: optional(
    'REDIS_SERVER',
    text,
    'Program of the private Redis; default redis-server or valkey-server on PATH.',
  ),
  mongodbUrl: optional(
    'MONGODB_URL',
    url('mongodb:', 'mongodb+srv:'),
    'MongoDB; without it the store is SQLite.',
    true,
  ),
  mongodbDatabase: required('MONGODB_DATABASE', text, 'ridestream', 'Database name in MongoDB.'),
  sqliteFile: optional(
    'SQLITE_FILE',
    path,
    'SQLite file; default ridestream.sqlite in DATA_DIR. Processes on one machine may share it.',
  ),
  jwtSecret: required(
    'JWT_SECRET',
    text,
    'development-secret',
    'Secret of the HS256 tokens; at least 32 characters in production.',
  ),
  socketTokenTtl: required(
    'SOCKET_TOKEN_TTL',
    duration(SECOND, 30 * DAY),
    '24h',
    'Life of a token made in development mode for sockets.',
  ),
  maxSessions: required(
    'MAX_SESSIONS',
    integer(1, 10_000_000),
    '1200000',
    'Sessions of this process, or what its limit of open files leaves room for if that is less; more are refused.',
  ),
  maxSessionsPerUser: required(
    'MAX_SESSIONS_PER_USER',
    integer(1, 100_000_000),
    '20',
    'Sessions of one user on this process, over all his devices; more are refused.',
  ),
  connectionRate: required(
    'CONNECTION_RATE',
    integer(1, 100_000_000),
    '1000',
    'Stream connections a second from one address (IPv6: one /64), per process; more are refused.',
  ),
  connectionBurst: required(
    'CONNECTION_BURST',
    integer(1, 100_000_000),
    '5000',
    'Stream connections from one address at once, before CONNECTION_RATE holds.',
  ),
  outboundBuffer: required(
    'OUTBOUND_BUFFER',
    integer(8, 65_536),
    '256',
    'Messages that wait for one session before its delivery class decides.',
  ),
  outboundBufferBytes: required(
    'OUTBOUND_BUFFER_BYTES',
    integer(4096, 1_073_741_824),
    '1048576',
    'Bytes that wait for one session.',
  ),
  flushBudget: required(
    'FLUSH_BUDGET',
    duration(1, SECOND),
    '10ms',
    'Longest time that one turn of the event loop writes to sockets before it reads again.',
  ),
  heartbeatInterval: required(
    'HEARTBEAT_INTERVAL',
    duration(50, HOUR),
    '5s',
    'How often clients are told to send a heartbeat.',
  ),
  heartbeatTimeout: required(
    'HEARTBEAT_TIMEOUT',
    duration(100, DAY),
    '15s',
    'Silence after which a session is dropped.',
  ),
  shardCount: required('SHARD_COUNT', integer(1, 4096), '64', 'Shards of the session broker.'),
  presenceGrace: required(
    'PRESENCE_GRACE',
    duration(100, HOUR),
    '5s',
    'How long after his last session a user still counts as online, so that a reconnect is no absence.',
  ),
  maxPayloadBytes: required(
    'MAX_PAYLOAD_BYTES',
    integer(1024, 16_777_216),
    '65536',
    'Largest inbound message or request body.',
  ),
  maxSubscriptions: required('MAX_SUBSCRIPTIONS', integer(1, 100_000), '100', 'Topics that one session may follow.'),
  historyLength: required(
    'HISTORY_LENGTH',
    integer(1, 1_000_000),
    '256',
    'Ordered messages kept per topic for recovery.',
  ),
  historyTtl: required('HISTORY_TTL', duration(SECOND, 30 * DAY), '2h', 'How long a silent topic keeps its history.'),
  inboxLength: required(
    'INBOX_LENGTH',
    integer(1, 1_000_000),
    '256',
    'Ordered messages kept per user for his next connection; HISTORY_LENGTH of the topics user:<id>.',
  ),
  inboxTtl: required(
    'INBOX_TTL',
    duration(SECOND, 30 * DAY),
    '24h',
    'How long they wait after the last one; HISTORY_TTL of the topics user:<id>.',
  ),
  topicCheckInterval: required(
    'TOPIC_CHECK_INTERVAL',
    duration(100, HOUR),
    '30s',
    'How often a followed topic is held against Redis, for a message that got lost between Redis and this process without a trace.',
  ),
  reconnectTokenTtl: required(
    'RECONNECT_TOKEN_TTL',
    duration(SECOND, 30 * DAY),
    '24h',
    'Life of a reconnect token after the session it belongs to was last heard of; never beyond the end of its sign-in.',
  ),
  locationFlush: required(
    'LOCATION_FLUSH',
    duration(0, SECOND),
    '2ms',
    'Longest wait of a location while another pipeline is under way; an idle Redis is asked at once.',
  ),
  locationBatchMax: required(
    'LOCATION_BATCH_MAX',
    integer(1, 1000),
    '100',
    'Locations in one batch message or request.',
  ),
  locationTtl: required(
    'LOCATION_TTL',
    duration(MINUTE, DAY),
    '1h',
    'How long the last position of a driver or trip is kept.',
  ),
  locationFreshness: required(
    'LOCATION_FRESHNESS',
    duration(SECOND, HOUR),
    '60s',
    'Age past which a position is stale and keeps its driver out of matching (domain time).',
  ),
  clockSkewMax: required(
    'CLOCK_SKEW_MAX',
    duration(SECOND, DAY),
    '2m',
    'How far ahead of the server a device clock may be (domain time).',
  ),
  zoneResolution: required('ZONE_RESOLUTION', integer(4, 10), '7', 'H3 resolution of zones.'),
  zoneBroadcastInterval: required(
    'ZONE_BROADCAST_INTERVAL',
    duration(100, MINUTE),
    '1s',
    'At most one broadcast per zone, node and interval.',
  ),
  etaRefreshInterval: required(
    'ETA_REFRESH_INTERVAL',
    duration(100, 10 * MINUTE),
    '5s',
    'At most one ETA refresh per trip and interval.',
  ),
  matchRadiusM: required(
    'MATCH_RADIUS_M',
    integer(100, 100_000),
    '5000',
    'Radius around the pick-up in which drivers are sought, metres.',
  ),
  matchCandidates: required('MATCH_CANDIDATES', integer(1, 500), '40', 'Nearest drivers looked at for one offer.'),
  matchRetry: required('MATCH_RETRY', duration(100, HOUR), '5s', 'Wait before drivers are sought again (domain time).'),
  offerTtl: required(
    'OFFER_TTL',
    duration(500, DAY),
    '15s',
    'How long a driver may think about an offer (domain time).',
  ),
  maxOffers: required('MAX_OFFERS', integer(1, 1000), '50', 'Offers of one trip before it expires.'),
  tripRequestTtl: required(
    'TRIP_REQUEST_TTL',
    duration(SECOND, 7 * DAY),
    '10m',
    'How long a trip waits for a driver before it expires (domain time).',
  ),
  tripMaxDuration: required(
    'TRIP_MAX_DURATION',
    duration(MINUTE, 7 * DAY),
    '12h',
    'A trip without an end after this is closed by the server (domain time).',
  ),
  averageSpeedMps: required(
    'AVERAGE_SPEED_MPS',
    decimal(0.5, 60),
    '6',
    'Speed of straight-line ETAs, metres a second.',
  ),
  detourFactor: required('DETOUR_FACTOR', decimal(1, 5), '1.35', 'Road distance over straight-line distance.'),
  currency: required(
    'CURRENCY',
    { rule: 'three capital letters (ISO 4217)', parse: (s) => (/^[A-Z]{3}$/.test(s) ? s : undefined) } as Kind<string>,
    'USD',
    'Currency of fares.',
  ),
  fareBaseMinor: required('FARE_BASE_MINOR', integer(0, 10_000_000), '250', 'Base fare, minor units.'),
  farePerKmMinor: required('FARE_PER_KM_MINOR', integer(0, 10_000_000), '155', 'Fare a kilometre, minor units.'),
  farePerMinuteMinor: required('FARE_PER_MINUTE_MINOR', integer(0, 10_000_000), '50', 'Fare a minute, minor units.'),
  fareMinimumMinor: required('FARE_MINIMUM_MINOR', integer(0, 10_000_000), '500', 'Least fare, minor units.'),
  sweepInterval: required('SWEEP_INTERVAL', duration(200, HOUR), '5s', 'How often what a crash left is looked for.'),
  sweepAge: required('SWEEP_AGE', duration(100, HOUR), '3s', 'Age at which unfinished work counts as left behind.'),
  rateLimitDefault: required(
    'RATE_LIMIT_DEFAULT',
    integer(1, 100_000_000),
    '100',
    'Requests a minute without sign-in, per address.',
  ),
  rateLimitAuthenticated: required(
    'RATE_LIMIT_AUTHENTICATED',
    integer(1, 100_000_000),
    '500',
    'Requests a minute of a signed-in user.',
  ),
  rateLimitPremium: required(
    'RATE_LIMIT_PREMIUM',
    integer(1, 100_000_000),
    '1000',
    'Requests a minute of the premium tier, services and operators.',
  ),
  socketLimitGeneral: required(
    'SOCKET_LIMIT_GENERAL',
    integer(1, 100_000_000),
    '100',
    'Messages of one user over all his sockets within SOCKET_LIMIT_WINDOW; locations, chat, heartbeats, acks and SOS not counted.',
  ),
  socketLimitLocation: required(
    'SOCKET_LIMIT_LOCATION',
    integer(1, 100_000_000),
    '1000',
    'Locations of one user over all his sockets within SOCKET_LIMIT_WINDOW; a batch counts each of its locations.',
  ),
  socketLimitChat: required(
    'SOCKET_LIMIT_CHAT',
    integer(1, 100_000_000),
    '50',
    'Chat messages and typing notices of one user over all his sockets within SOCKET_LIMIT_WINDOW.',
  ),
  socketLimitWindow: required(
    'SOCKET_LIMIT_WINDOW',
    duration(SECOND, DAY),
    '60s',
    'Time in which a used up socket limit is whole again.',
  ),
  idempotencyTtl: required(
    'IDEMPOTENCY_TTL',
    duration(MINUTE, 30 * DAY),
    '24h',
    'How long an idempotency key is remembered.',
  ),
  drainDeadline: required('DRAIN_DEADLINE', duration(100, HOUR), '20s', 'Longest time of a graceful stop.'),
  drainJitter: required(
    'DRAIN_JITTER',
    duration(0, 10 * MINUTE),
    '5s',
    'Reconnects of a drain are spread over this time.',
  ),
  clockSpeed: required(
    'CLOCK_SPEED',
    decimal(0.001, 100_000),
    '1',
    'Domain seconds per wall second; other than 1 in development only.',
  ),
  clockStart: optional('CLOCK_START', instant, 'Domain time at the anchor; default: the anchor itself.'),
  clockAnchor: optional(
    'CLOCK_ANCHOR',
    integer(0, 8_640_000_000_000_000),
    'Wall time (epoch ms) at which domain time starts; default: the start of the process. Processes on one store must share it.',
  ),
  mapBasemap: optional('MAP_BASEMAP', path, 'GeoJSON file drawn under the live map.'),
  mapTimeZone: optional('MAP_TIME_ZONE', timeZone, 'Time zone of the times on the live map; default: the reader’s.'),
  logLevel: required(
    'LOG_LEVEL',
    oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    'info',
    'Least level that is logged.',
  ),
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
  if (c.workers > 1 && c.nodeId !== undefined && c.nodeId.length > WORKER_NODE_ID_MAX) {
    problems.push(`NODE_ID: must be at most ${WORKER_NODE_ID_MAX} characters with WORKERS, whose number follows it`);
  }
  if (c.mode === 'production') {
    if (c.jwtSecret === DEVELOPMENT_SECRET || c.jwtSecret.length < 32) {
      problems.push('JWT_SECRET: must be a secret of at least 32 characters in production mode');
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
