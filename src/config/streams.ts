/** Settings of the streams: sessions, their buffers and heartbeats, and what is kept for those who were away. */
import { DAY, duration, HOUR, integer, required, SECOND } from './kinds.ts';

export const streamsSettings = {
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
  maxUnsignedCalls: required(
    'MAX_UNSIGNED_CALLS',
    integer(1, 10_000),
    '500',
    'Calls of one gRPC connection at once whose caller is not known (streams before their sign-in, reflection, health); more are reset.',
  ),
  grpcConnectionWindow: required(
    'GRPC_CONNECTION_WINDOW',
    integer(65_535, 1_073_741_824),
    '1048576',
    'Bytes that the peer of a gRPC connection may have on its way to the server, over all its streams, once a caller of it is known.',
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
  sessionEntryTtl: required(
    'SESSION_ENTRY_TTL',
    duration(10 * SECOND, 30 * DAY),
    '24h',
    'Life of what Redis has of a session and of what it follows, when the node that holds it renews it no more.',
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
} as const;
