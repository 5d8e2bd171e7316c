/** Settings of the process: what it listens on, who it is, what it stands on, how it knows callers. */
import {
  DAY,
  duration,
  integer,
  listenAddress,
  oneOf,
  optional,
  path,
  redisUrl,
  required,
  SECOND,
  slug,
  text,
  url,
} from './kinds.ts';

export const processSettings = {
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
} as const;
