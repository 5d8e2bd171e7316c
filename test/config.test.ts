/** Settings: every bad value is named with its rule, all at once, before anything listens; secrets stay secret. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import t from 'tap';
import { ConfigError, listenProblem, loadConfig, settings } from '../src/config.ts';

/** The problems of an environment; empty when there are none. */
function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

const bad: Record<string, readonly string[]> = {
  RIDESTREAM_MODE: ['test', 'Production'],
  HTTP_LISTEN_ADDR: ['8080', ':65536', 'localhost', '::1:8080', ':-1', ':80a'],
  GRPC_LISTEN_ADDR: ['7443', 'host:'],
  CORS_ORIGINS: ['app.example.com', 'https://app.example.com/', 'https://a.com,*', ','],
  TRUSTED_PROXIES: [
    'proxy',
    '10.0.0',
    '10.0.0.256',
    '10.0.0.1.',
    '::1::',
    '10.0.0.0/33',
    '::1/129',
    '10.0.0.1,',
    '10.0.0.0/8/8',
    '10.0.0.0/',
  ],
  METRICS_LISTEN_ADDR: [':999999'],
  NODE_ID: ['Node 1', 'a'.repeat(33), 'ä'],
  REGION: ['EU', 'eu_west'],
  CITY: ['New York', '../etc'],
  REDIS_URL: ['localhost:6379', 'http://localhost', 'redis://host:port', 'redis://', 'redis-cluster://'],
  MONGODB_URL: ['localhost:27017', 'mongo://x'],
  SOCKET_TOKEN_TTL: ['15', '15min', '-15m', '0s', '31d', '1e3s', '5 m'],
  WORKERS: ['0', '257', 'auto'],
  MAX_SESSIONS_PER_USER: ['0'],
  CONNECTION_RATE: ['0', '1/s'],
  CONNECTION_BURST: ['-1'],
  SESSION_ENTRY_TTL: ['9s', '31d'],
  MAX_UNSIGNED_CALLS: ['0', '10001'],
  GRPC_CONNECTION_WINDOW: ['65534', '1073741825', '1MiB'],
  SOCKET_LIMIT_GENERAL: ['0'],
  SOCKET_LIMIT_LOCATION: ['unlimited'],
  TRIP_REQUEST_LIMIT: ['0', 'none'],
  SOCKET_LIMIT_CHAT: ['2.5'],
  SOCKET_LIMIT_WINDOW: ['999ms', '2d'],
  MAX_SESSIONS: ['0', '-1', 'many', '1.5', '1e3', '10000001', '0x10'],
  OUTBOUND_BUFFER: ['7', '65537'],
  OUTBOUND_BUFFER_BYTES: ['4095'],
  HEARTBEAT_INTERVAL: ['49ms', '5', 'h'],
  PRESENCE_GRACE: ['99ms', '2h', '5'],
  HEARTBEAT_TIMEOUT: ['99ms', 'never'],
  SHARD_COUNT: ['0', '4097'],
  MAX_PAYLOAD_BYTES: ['1023', '64k'],
  MAX_SUBSCRIPTIONS: ['0'],
  HISTORY_LENGTH: ['0'],
  HISTORY_TTL: ['999ms'],
  LOCATION_FLUSH: ['2s', '-1ms'],
  LOCATION_BATCH_MAX: ['1001'],
  LOCATION_TTL: ['59s'],
  LOCATION_FRESHNESS: ['2h'],
  CLOCK_SKEW_MAX: ['2'],
  ZONE_RESOLUTION: ['3', '11'],
  ZONE_BROADCAST_INTERVAL: ['99ms'],
  ZONE_BROADCAST_MAX: ['0', '100001'],
  ETA_REFRESH_INTERVAL: ['11m'],
  MATCH_RADIUS_M: ['99', '1km'],
  ARRIVAL_RADIUS_M: ['-1', '300m', '100001'],
  MATCH_CANDIDATES: ['501'],
  DISPATCH_CELL_RESOLUTION: ['4', '11'],
  DISPATCH_MAX_ETA: ['59s', '5h'],
  DISPATCH_OFFERS: ['0', '21', 'all'],
  DISPATCH_WINDOW: ['-1s', '61s', '5'],
  DISPATCH_WINDOW_TRIPS: ['0', '1001'],
  DISPATCH_TIME_LIMIT: ['0ms', '11s'],
  DISPATCH_AHEAD: ['-1m', '25h'],
  DISPATCH_LOG_TTL: ['59m', '366d'],
  DISPATCH_IDLE_WEIGHT: ['-0.1', '11'],
  DISPATCH_IDLE_CAP: ['25h'],
  DISPATCH_ACCEPTANCE_WEIGHT: ['61m', '60'],
  DISPATCH_RATING_WEIGHT: ['-1s', '2h'],
  DISPATCH_HEADING_WEIGHT: ['2h'],
  DISPATCH_UNSERVED_WEIGHT: ['25h'],
  MATCH_RETRY: ['0ms'],
  OFFER_TTL: ['499ms'],
  MAX_OFFERS: ['0'],
  TRIP_REQUEST_TTL: ['8d'],
  TRIP_MAX_DURATION: ['59s'],
  AVERAGE_SPEED_MPS: ['0', 'NaN', 'Infinity', '61', ' '],
  DETOUR_FACTOR: ['0.9'],
  CURRENCY: ['usd', 'US', 'DOLLAR'],
  FARE_BASE_MINOR: ['-1', '2.50'],
  FARE_PER_KM_MINOR: ['x'],
  FARE_PER_MINUTE_MINOR: ['x'],
  FARE_MINIMUM_MINOR: ['x'],
  LOCATION_SAMPLE: ['-1', '1/10'],
  TRACK_FLUSH: ['99ms', '61s'],
  TRACK_RETENTION: ['59m', 'ever'],
  WATCH_INTERVAL: ['49ms', '11s'],
  WATCH_SWEEP_INTERVAL: ['199ms'],
  GEOFENCE_REFRESH: ['99ms'],
  SOS_REFRESH: ['99ms'],
  STALE_CLOCK: ['29s', '25h'],
  CHECK_IN_ANSWER: ['999ms', '2h'],
  SPOOFING_DISTRUST: ['-1s', '25h'],
  ROUTE_DEVIATION_M: ['49', '1km'],
  LONG_STOP: ['9s', '25h'],
  OVERSPEED_MPS: ['0', '51'],
  SIGNAL_LOST: ['999ms', '61m'],
  FARE_WAITING_FREE: ['2h', '3'],
  FARE_WAITING_PER_MINUTE_MINOR: ['-1', '0.3'],
  CANCELLATION_FREE: ['2d', '-1s'],
  CANCELLATION_FEE_MINOR: ['5.00'],
  QUOTE_TTL: ['999ms', '2d'],
  SURGE_INTERVAL: ['499ms', '2h'],
  SURGE_WINDOW: ['999ms'],
  SURGE_HALF_LIFE: ['99ms'],
  SURGE_CAP: ['0.9', '11', '2,5'],
  SURGE_THRESHOLD: ['-1'],
  SURGE_SLOPE: ['101'],
  SURGE_MIN_DEMAND: ['-1'],
  SURGE_NEIGHBOUR_SHARE: ['1.1', '-0.1'],
  PAYMENTS_PROVIDER: ['stripe', 'None'],
  PAYMENTS_WAITING_ALLOWANCE: ['2d'],
  PAYMENTS_HOLD_LIFE: ['59s', '366d'],
  PAYMENTS_RENEW_AHEAD: ['-1s', '366d'],
  PAYMENTS_RETRY: ['9ms'],
  PAYMENTS_RETRY_MAX: ['2d'],
  PAYMENTS_ATTEMPTS: ['0', '101'],
  PAYMENTS_REPAIRS: ['-1', '101'],
  PAYMENTS_RECONCILE_INTERVAL: ['199ms'],
  PAYMENTS_RECONCILE_AGE: ['-1s'],
  SWEEP_INTERVAL: ['100ms'],
  SWEEP_AGE: ['99ms'],
  ROUTING_ENGINE: ['OSRM', 'google'],
  ROUTING_URL: ['127.0.0.1:5000', 'ftp://127.0.0.1'],
  ROUTING_TIMEOUT: ['9ms', '2m'],
  ROUTING_MAX_IN_FLIGHT: ['0', '1001'],
  ROUTING_BATCH: ['0'],
  ROUTING_MATRIX_MAX: ['0', 'all'],
  ROUTING_MAX_SNAP_M: ['0', '1km'],
  ROUTING_BREAKER_THRESHOLD: ['0'],
  ROUTING_BREAKER_RESET: ['99ms'],
  ROUTING_CACHE_SIZE: ['-1'],
  ROUTING_CACHE_TTL: ['999ms', '31d'],
  ROUTING_CACHE_RESOLUTION: ['6', '14'],
  TRAFFIC_FACTOR: ['0.2', '9', 'slow'],
  TRAFFIC_HALF_LIFE: ['59m'],
  DEPARTURE_SEATS_MAX: ['0', '101'],
  DEPARTURE_AHEAD_MAX: ['59m', '366d'],
  DEPARTURE_BOARDING: ['25h', 'early'],
  DEPARTURE_GRACE: ['999ms'],
  BOOKING_CLOSES: ['8d'],
  BOOKING_CANCEL_FREE: ['31d'],
  BOOKING_CANCEL_LATE: ['31d', '-1h'],
  BOOKING_CANCEL_FEE_PERCENT: ['101', '-1', '50%'],
  BOOKING_LATE_FEE_PERCENT: ['101'],
  BOOKING_NO_SHOW_FEE_PERCENT: ['half'],
  RATE_LIMIT_DEFAULT: ['0'],
  RATE_LIMIT_AUTHENTICATED: ['-5'],
  RATE_LIMIT_PREMIUM: ['none'],
  IDEMPOTENCY_TTL: ['59s'],
  DRAIN_DEADLINE: ['99ms'],
  DRAIN_JITTER: ['11m'],
  INBOX_LENGTH: ['0', 'all'],
  INBOX_TTL: ['0s', '31d'],
  TOPIC_CHECK_INTERVAL: ['99ms', 'never'],
  RECONNECT_TOKEN_TTL: ['999ms', '1w'],
  CLOCK_SPEED: ['0', '-1', 'fast'],
  CLOCK_START: ['noon', '2015-13-40T00:00:00Z', '1421322000'],
  CLOCK_ANCHOR: ['-1', 'now'],
  FLUSH_BUDGET: ['-1ms', '10m'],
  MAP_TIME_ZONE: ['Mars/Olympus', 'noon'],
  LOG_LEVEL: ['verbose', 'INFO'],
  PERSISTENCE_SINK: ['file', 'Kafka'],
  KAFKA_BROKERS: ['localhost', 'kafka://localhost:9092', 'localhost:9092,', ':9092'],
  KAFKA_GROUP: ['two words', ' '],
  KAFKA_PARTITIONS: ['-1', 'many'],
  KAFKA_TLS: ['yes'],
  KAFKA_SASL_MECHANISM: ['GSSAPI'],
  KAFKA_LAG_INTERVAL: ['10ms'],
  PULSAR_URL: ['pulsar://localhost:6650', 'localhost:8080'],
  PULSAR_NAMESPACE: ['public', 'public/default/more', '/'],
  SINK_TIMEOUT: ['1ms', 'never'],
  SINK_SPOOL_BYTES: ['0', '1GB'],
};

t.test('a bad value is named with its variable and its rule', async (t) => {
  const byName = new Map(Object.values(settings).map((setting) => [setting.name, setting]));
  for (const [name, values] of Object.entries(bad)) {
    const setting = byName.get(name);
    if (!t.ok(setting, `${name} is a setting`)) continue;
    for (const value of values) {
      const secret = 'secret' in setting! && setting.secret;
      const shown = secret ? 'its value' : JSON.stringify(value);
      t.same(problemsOf({ [name]: value }), [`${name}: ${shown} must be ${setting!.kind.rule}`], `${name}=${value}`);
    }
  }
});

t.test('every setting with a rule is tried', async (t) => {
  // What takes any text, or is in the table under another name, has no bad value.
  const free = new Set(['a text that is not empty', 'a path']);
  const untried = Object.values(settings).filter(({ name, kind }) => !free.has(kind.rule) && !(name in bad));
  t.same(
    untried.map(({ name }) => name),
    [],
  );
});

t.test('a sink takes its broker, and a name its password', async (t) => {
  t.match(problemsOf({ PERSISTENCE_SINK: 'kafka' }), [/^KAFKA_BROKERS/]);
  t.match(problemsOf({ PERSISTENCE_SINK: 'pulsar' }), [/^PULSAR_URL/]);
  t.match(problemsOf({ KAFKA_SASL_USERNAME: 'me' }), [/^KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD/]);
  t.match(problemsOf({ KAFKA_TLS: 'on', KAFKA_TLS_CERT_FILE: 'me.crt' }), [
    /^KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE/,
  ]);
  t.match(problemsOf({ KAFKA_TLS_CA_FILE: 'ca.crt' }), [/must come with KAFKA_TLS on/]);
  const { kafkaBrokers } = loadConfig({ PERSISTENCE_SINK: 'kafka', KAFKA_BROKERS: 'one:9092, [::1]:9093' });
  t.same(kafkaBrokers, ['one:9092', '[::1]:9093']);
});

t.test('all problems at once, in the order of the table', async (t) => {
  const env = { LOG_LEVEL: 'loud', MAX_SESSIONS: '0', HTTP_LISTEN_ADDR: 'here', HEARTBEAT_TIMEOUT: 'never' };
  t.same(
    problemsOf(env).map((problem) => problem.split(':')[0]),
    ['HTTP_LISTEN_ADDR', 'MAX_SESSIONS', 'HEARTBEAT_TIMEOUT', 'LOG_LEVEL'],
  );
});

t.test('rules between settings', async (t) => {
  const first = (env: Record<string, string>): string | undefined => problemsOf(env)[0];
  t.equal(
    first({ HEARTBEAT_INTERVAL: '15s', HEARTBEAT_TIMEOUT: '15s' }),
    'HEARTBEAT_TIMEOUT: 15000ms must be longer than HEARTBEAT_INTERVAL (15000ms)',
  );
  t.match(first({ GRPC_TLS_CERT_FILE: 'cert.pem' }), /GRPC_TLS_CERT_FILE and GRPC_TLS_KEY_FILE must be set together/);
  t.match(first({ GRPC_TLS_KEY_FILE: 'key.pem' }), /must be set together/);
  t.match(first({ GRPC_TLS_CLIENT_CA_FILE: 'ca.pem' }), /GRPC_TLS_CLIENT_CA_FILE must come with GRPC_TLS_CERT_FILE/);
  t.match(first({ ROUTING_ENGINE: 'osrm' }), /^ROUTING_URL: must come with ROUTING_ENGINE/);
  t.same(problemsOf({ ROUTING_ENGINE: 'osrm', ROUTING_URL: 'http://127.0.0.1:5000' }), []);
  t.match(first({ PAYMENTS_HOLD_LIFE: '24h' }), /^PAYMENTS_RENEW_AHEAD: must be shorter than PAYMENTS_HOLD_LIFE/);
  t.same(problemsOf({ PAYMENTS_HOLD_LIFE: '24h', PAYMENTS_RENEW_AHEAD: '23h' }), []);
  const shared = { REDIS_URL: 'redis://127.0.0.1', CLOCK_SPEED: '60' };
  t.match(first(shared), /^CLOCK_ANCHOR: must be set/);
  t.same(problemsOf({ ...shared, CLOCK_ANCHOR: '1421322000000' }), []);
});

t.test('production refuses development secrets and a clock of its own', async (t) => {
  const mode = { RIDESTREAM_MODE: 'production' };
  const secret = 'a secret that is 32 characters long';
  const refusal = 'JWT_SECRET: must be a secret of at least 32 characters in production mode';
  t.same(problemsOf(mode), [refusal], 'the default');
  t.same(problemsOf({ ...mode, JWT_SECRET: 'short' }), [refusal]);
  t.same(problemsOf({ ...mode, JWT_SECRET: secret }), []);
  t.match(problemsOf({ ...mode, JWT_SECRET: secret, CLOCK_SPEED: '2' }), [/^CLOCK_SPEED and CLOCK_START/]);
  const start = { CLOCK_START: '2015-01-15T08:00:00-05:00' };
  t.match(problemsOf({ ...mode, JWT_SECRET: secret, ...start }), [/^CLOCK_SPEED and CLOCK_START/]);
  for (const name of ['QUOTE_SECRET', 'QUOTE_SECRET_PREVIOUS']) {
    const given = { ...mode, JWT_SECRET: secret, QUOTE_SECRET: secret };
    t.match(problemsOf({ ...given, [name]: 'short' }), [/^QUOTE_SECRET and QUOTE_SECRET_PREVIOUS: must be secrets/]);
    t.same(problemsOf({ ...given, [name]: secret }), []);
  }
  const pretended = problemsOf({ ...mode, JWT_SECRET: secret, PAYMENTS_PROVIDER: 'development' });
  t.match(pretended, [/^PAYMENTS_PROVIDER: must not be development/]);
  t.same(problemsOf({ ...mode, JWT_SECRET: secret, PAYMENTS_PROVIDER: 'none' }), []);
  const { jwtSecret, httpListen } = loadConfig({ ...mode, JWT_SECRET: secret });
  t.equal(jwtSecret, secret);
  t.equal(httpListen.host, '::', 'and listens everywhere');
  t.equal(loadConfig({}).httpListen.host, '127.0.0.1', 'development only here');
  t.equal(loadConfig({ HTTP_LISTEN_ADDR: '0.0.0.0:80' }).httpListen.host, '0.0.0.0', 'unless it is told to');
});

t.test('secrets are not shown', async (t) => {
  for (const name of ['REDIS_URL', 'MONGODB_URL']) {
    const problems = problemsOf({ [name]: 'http://admin:hunter2@db.example', LOG_LEVEL: 'x' }).join('\n');
    t.match(problems, name);
    t.notMatch(problems, 'hunter2');
  }
});

t.test('good values', async (t) => {
  const config = loadConfig({
    HTTP_LISTEN_ADDR: '[::1]:0',
    HEARTBEAT_INTERVAL: '0.5s',
    HEARTBEAT_TIMEOUT: '2m',
    CLOCK_START: '2015-01-15T08:00:00-05:00',
    CLOCK_ANCHOR: '0',
    MONGODB_URL: 'mongodb://a:1,b:2/db?replicaSet=rs',
    REDIS_URL: 'unix:///run/redis.sock',
    MAX_SESSIONS: '',
    AVERAGE_SPEED_MPS: '7.5',
  });
  t.hasStrict(config, {
    httpListen: { host: '::1', port: 0 },
    heartbeatInterval: 500,
    heartbeatTimeout: 120_000,
    clockStart: Date.parse('2015-01-15T13:00:00Z'),
    clockAnchor: 0,
    mongodbUrl: 'mongodb://a:1,b:2/db?replicaSet=rs',
    redisUrl: 'unix:///run/redis.sock',
    maxSessions: 1_200_000,
    averageSpeedMps: 7.5,
  });
  t.ok(Object.isFrozen(config));
  t.equal(loadConfig({ SOMETHING_ELSE: 'x' }).maxSessions, 1_200_000, 'what it does not know is not its business');
});

t.test('the documents’ own defaults', async (t) => {
  t.hasStrict(loadConfig({}), {
    grpcListen: { port: 7443 },
    httpListen: { port: 8080 },
    metricsListen: { port: 9090 },
    maxSessions: 1_200_000,
    outboundBuffer: 256,
    heartbeatInterval: 5000,
    heartbeatTimeout: 15_000,
    shardCount: 64,
    rateLimitDefault: 100,
    rateLimitAuthenticated: 500,
    rateLimitPremium: 1000,
  });
});

t.test('whatever the text, it is taken as its kind or refused by name', async () => {
  const all = Object.values(settings);
  fc.assert(
    fc.property(fc.constantFrom(...all), fc.string({ unit: 'binary', minLength: 1 }), (setting, text) => {
      const problems = problemsOf({ [setting.name]: text });
      return problems.every((problem) => problem.startsWith(setting.name) || problem.includes(' must '));
    }),
    { numRuns: 300 },
  );
});

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

/** Runs the server's program until it ends. */
async function run(env: Record<string, string>): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [MAIN], { env: { PATH: process.env.PATH ?? '', ...env } });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  const [code] = await once(child, 'close');
  return { code, out, err };
}

t.test('the program says it on stderr and exits 1 before anything is started', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-config-'));
  t.after(() => rm(folder, { recursive: true }));
  const env = { DATA_DIR: join(folder, 'data'), HTTP_LISTEN_ADDR: ':0', GRPC_LISTEN_ADDR: ':0' };
  const { code, out, err } = await run({ ...env, METRICS_LISTEN_ADDR: ':0', MAX_SESSIONS: 'many', SHARD_COUNT: '0' });
  t.equal(code, 1);
  t.equal(
    err,
    'ridestream: MAX_SESSIONS: "many" must be a whole number from 1 to 10000000\n' +
      'ridestream: SHARD_COUNT: "0" must be a whole number from 1 to 4096\n',
  );
  t.equal(out, '', 'nothing was logged: neither Redis nor a listener was started');
  t.same(await readdir(folder), [], 'nor anything written');
  const production = await run({ ...env, RIDESTREAM_MODE: 'production' });
  t.equal(production.code, 1, 'production on development secrets');
  t.match(production.err, /^ridestream: JWT_SECRET: must be a secret of at least 32 characters/);
});

t.test('a port that is taken is named with its setting, in one line', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => void taken.close());
  const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
  const free = { HTTP_LISTEN_ADDR: ':0', GRPC_LISTEN_ADDR: ':0', METRICS_LISTEN_ADDR: ':0', LOG_LEVEL: 'silent' };
  for (const name of ['HTTP_LISTEN_ADDR', 'GRPC_LISTEN_ADDR', 'METRICS_LISTEN_ADDR']) {
    for (const workers of ['1', '2']) {
      // Short, because a socket path may have 103 bytes.
      const folder = await mkdtemp(join(tmpdir(), 'rs-'));
      t.after(() => rm(folder, { recursive: true }));
      const { code, err } = await run({ ...free, DATA_DIR: folder, WORKERS: workers, [name]: address });
      t.equal(code, 1);
      t.equal(err, `ridestream: ${name}: ${address} is in use by another program\n`, `WORKERS=${workers}`);
    }
  }
});

t.test('what a listener could not do', async (t) => {
  const config = loadConfig({ HTTP_LISTEN_ADDR: '10.9.9.9:80', GRPC_LISTEN_ADDR: '10.9.9.9:80' });
  const failure = (code: string, more: object = {}) =>
    Object.assign(new Error(code), { code, syscall: 'listen', address: '10.9.9.9', port: 80, ...more });
  const named = 'HTTP_LISTEN_ADDR, GRPC_LISTEN_ADDR: 10.9.9.9:80';
  t.same(listenProblem(failure('EACCES'), config)?.problems, [`${named} may not be listened on by this user`]);
  t.same(listenProblem(failure('EADDRNOTAVAIL'), config)?.problems, [`${named} is no address of this machine`]);
  t.equal(listenProblem(failure('ECONNREFUSED', { syscall: 'connect' }), config), null, 'no listener');
  t.equal(listenProblem(new TypeError('x'), config), null, 'a defect keeps its stack');
});

t.test('docs/settings.md is what the table says', async (t) => {
  const { settingsDoc } = await import('../script/settings-doc.ts');
  const text = await readFile(new URL('../docs/settings.md', import.meta.url), 'utf8');
  t.equal(text, settingsDoc(), 'run script/contracts');
  for (const { name } of Object.values(settings)) t.match(text, `| \`${name}\` |`);
});
