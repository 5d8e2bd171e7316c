/** Settings of what leaves for other systems and comes from them. */
import {
  duration,
  hostList,
  integer,
  MINUTE,
  namespace,
  oneOf,
  optional,
  path,
  required,
  SECOND,
  text,
  url,
  word,
} from './kinds.ts';

export const sinkSettings = {
  persistenceSink: required(
    'PERSISTENCE_SINK',
    oneOf('noop', 'kafka', 'pulsar'),
    'noop',
    'Where events go for other systems, on order-events, porter-events, notification-events and chat-events; noop: nowhere.',
  ),
  kafkaBrokers: optional(
    'KAFKA_BROKERS',
    hostList,
    'Brokers of Kafka; some are enough. With it, events of other systems on order-events and notification-events reach the people they concern.',
  ),
  kafkaGroup: required(
    'KAFKA_GROUP',
    word,
    'realtime-gateway-group',
    'Consumer group of all nodes; each event is taken once by the group.',
  ),
  kafkaPartitions: required(
    'KAFKA_PARTITIONS',
    integer(0, 10_000),
    '12',
    'Partitions of topics that are missing and therefore made; 0: the operator makes them.',
  ),
  kafkaTls: required(
    'KAFKA_TLS',
    oneOf('off', 'on'),
    'off',
    'TLS to the brokers. Its files may be replaced while the server runs: new connections go by what they hold then, and by what they held before while that cannot be used.',
  ),
  kafkaTlsCa: optional(
    'KAFKA_TLS_CA_FILE',
    path,
    'Authorities (PEM) that the brokers’ certificates must come from; without it those that Node.js brings, to which NODE_EXTRA_CA_CERTS adds.',
  ),
  kafkaTlsCert: optional(
    'KAFKA_TLS_CERT_FILE',
    path,
    'Certificate (PEM) for brokers that ask who connects: mutual TLS.',
  ),
  kafkaTlsKey: optional('KAFKA_TLS_KEY_FILE', path, 'Private key (PEM) of that certificate.'),
  kafkaSaslMechanism: required(
    'KAFKA_SASL_MECHANISM',
    oneOf('PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'),
    'SCRAM-SHA-512',
    'How the name and password of KAFKA_SASL_USERNAME are shown to the brokers.',
  ),
  kafkaSaslUsername: optional('KAFKA_SASL_USERNAME', text, 'Name for the brokers; without it none is given.'),
  kafkaSaslPassword: optional('KAFKA_SASL_PASSWORD', text, 'Password of that name.', true),
  pulsarUrl: optional('PULSAR_URL', url('ws:', 'wss:'), 'WebSocket service of Pulsar: ws://host:8080.'),
  pulsarNamespace: required(
    'PULSAR_NAMESPACE',
    namespace,
    'public/default',
    'Tenant and namespace of the topics in Pulsar. Give it a retention: a topic that nobody has subscribed to yet keeps nothing without one.',
  ),
  pulsarToken: optional('PULSAR_TOKEN', text, 'Token for Pulsar.', true),
  sinkTimeout: required(
    'SINK_TIMEOUT',
    duration(100, 10 * MINUTE),
    '5s',
    'How long the broker may take for a batch before events go to the disk.',
  ),
  sinkSpoolBytes: required(
    'SINK_SPOOL_BYTES',
    integer(1_048_576, 1_099_511_627_776),
    '1073741824',
    'Bytes of events that each process keeps in DATA_DIR while the broker is away, samples in the first half only. What does not fit is refused: events of trips and chats then wait in the store, samples are lost and counted. As much again may be kept of what the broker refuses for good (dead-letters).',
  ),
  kafkaLagInterval: required(
    'KAFKA_LAG_INTERVAL',
    duration(SECOND, 10 * MINUTE),
    '5s',
    'How often the consumer’s lag is measured.',
  ),
} as const;
