/**
 * Prometheus metrics under the documents' names, on a port of their own. fastify-metrics measures the process; the realtime
 * core counts through the Meter port, whose label lookups are done once and kept.
 */
import { statSync } from 'node:fs';
import Fastify, { type FastifyInstance, type onResponseHookHandler } from 'fastify';
import metrics from 'fastify-metrics';
import fp from 'fastify-plugin';
import { Counter, Gauge, Registry } from 'prom-client';
import type { ListenAddress } from '../config.ts';
import type { Meter } from '../ports/meter.ts';
import { type Count, PlainCounter } from './plain-counter.ts';
import { PlainHistogram } from './plain-histogram.ts';
import { createStreamCounters } from './stream-metrics.ts';

/** All values of a registry, as plain data. */
export type MetricsSnapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

export interface Metrics {
  registry: Registry;
  meter: Meter;
  /** Values that are read when Prometheus asks. `shared`: whichever worker is asked tells the same. */
  gauge(name: string, help: string, read: () => number | Promise<number>, shared?: boolean): void;
}

/** The series of a counter with two labels, looked up without a label set. */
function byTwo(counter: PlainCounter): (a: string, b: string) => Count {
  const known = new Map<string, Map<string, Count>>();
  return (a, b) => {
    let inner = known.get(a);
    if (!inner) {
      inner = new Map();
      known.set(a, inner);
    }
    let count = inner.get(b);
    if (!count) {
      count = counter.series(a, b);
      inner.set(b, count);
    }
    return count;
  };
}

const NO_LABELS = {};
const LATENCY_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5];

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const activeSessions = new Gauge({
    name: 'ride_stream_active_sessions',
    help: 'Sessions of this process',
    registers,
  });
  const latency = new PlainHistogram({
    name: 'ride_stream_latency_seconds',
    help: 'From receiving a message to queueing its answer',
    labelNames: ['event'],
    buckets: LATENCY_BUCKETS_S,
    registers,
  });
  const dropped = new Counter({
    name: 'ride_stream_dropped_total',
    help: 'Frames that a slow reader did not get',
    labelNames: ['reason'],
    registers,
  });
  const connections = new Gauge({
    name: 'realtime_active_connections',
    help: 'Connections by namespace',
    labelNames: ['namespace'],
    registers,
  });
  const received = new PlainCounter({
    name: 'realtime_messages_received_total',
    help: 'Inbound messages',
    labelNames: ['namespace', 'event'],
    registers,
  });
  const sent = new PlainCounter({
    name: 'realtime_messages_sent_total',
    help: 'Outbound messages',
    labelNames: ['namespace', 'event'],
    registers,
  });
  const locations = new PlainCounter({
    name: 'realtime_location_updates_total',
    help: 'Location updates kept',
    labelNames: [],
    registers,
  }).series();
  const fanOut = new PlainHistogram({
    name: 'realtime_fanout_latency_seconds',
    help: 'From publishing the oldest of what a topic joined in a turn to handing it to local subscribers',
    labelNames: [],
    buckets: LATENCY_BUCKETS_S,
    registers,
  });
  const authErrors = new Counter({
    name: 'realtime_authentication_errors_total',
    help: 'Refused sign-ins',
    labelNames: ['reason'],
    registers,
  });
  const redisHits = new PlainCounter({
    name: 'realtime_redis_hits_total',
    help: 'Calls answered by Redis',
    labelNames: ['operation'],
    registers,
  });
  const watched = {
    refused: new Counter({
      name: 'realtime_location_refused_total',
      help: 'Positions that were not believed: left out of tracks and detectors, or of a stale clock and kept out of matching',
      labelNames: ['reason'],
      registers,
    }),
    distrusted: new Counter({
      name: 'ride_drivers_distrusted_total',
      help: 'Drivers whom matching passes over because of their positions',
      labelNames: ['reason'],
      registers,
    }),
    crossing: new Counter({
      name: 'ride_geofence_crossings_total',
      help: 'Geofences entered and exited',
      labelNames: ['type'],
      registers,
    }),
    check_in: new Counter({
      name: 'ride_check_in_events_total',
      help: 'Events of check-ins',
      labelNames: ['type'],
      registers,
    }),
    anomaly: new Counter({
      name: 'ride_anomaly_flags_total',
      help: 'Flags opened',
      labelNames: ['kind'],
      registers,
    }),
  };
  const receivedOf = byTwo(received);
  const sentOf = byTwo(sent);
  const hits = new Map<string, Count>();

  return {
    registry,
    meter: {
      sessionOpened(namespace) {
        activeSessions.inc();
        connections.inc({ namespace });
      },
      sessionClosed(namespace) {
        activeSessions.dec();
        connections.dec({ namespace });
      },
      messageIn(namespace, kind) {
        receivedOf(namespace, kind).value++;
      },
      messagesOut(namespace, kind, count) {
        sentOf(namespace, kind).value += count;
      },
      dropped: (reason) => dropped.inc({ reason }),
      locationsKept(count) {
        locations.value += count;
      },
      fanOut: (seconds) => fanOut.observe(NO_LABELS, seconds),
      handled: (kind, seconds) => latency.observe({ event: kind }, seconds),
      authenticationFailed: (reason) => authErrors.inc({ reason }),
      stream: createStreamCounters(registry),
      watched: (what, label) => watched[what].labels(label).inc(),
      redisHit(operation, count = 1) {
        let hit = hits.get(operation);
        if (!hit) {
          hit = redisHits.series(operation);
          hits.set(operation, hit);
        }
        hit.value += count;
      },
    },
    gauge(name, help, read, shared = false) {
      new Gauge({
        name,
        help,
        aggregator: shared ? 'max' : 'sum',
        registers,
        async collect() {
          this.set(await read());
        },
      });
    },
  };
}

/**
 * What prom-client lists one by one to count it, in the event loop: with 20,000 connections that is several milliseconds a scrape. Sessions
 * have a gauge of their own.
 */
const LISTED = [
  'nodejs_active_handles',
  'nodejs_active_handles_total',
  'nodejs_active_resources',
  'nodejs_active_resources_total',
  'nodejs_active_requests',
  'nodejs_active_requests_total',
];

/** The same for `process_open_fds` where the system counts them itself: the size of the folder, since Linux 6.2. */
function countOpenFiles(registry: Registry): void {
  const count = (): number => statSync('/proc/self/fd', { throwIfNoEntry: false })?.size ?? 0;
  if (count() === 0) return;
  registry.removeSingleMetric('process_open_fds');
  new Gauge({
    name: 'process_open_fds',
    help: 'Number of open file descriptors.',
    registers: [registry],
    collect() {
      this.set(count());
    },
  });
}

/** Measures the process and every REST route into the registry; serves nothing on the public port. */
export const restMetricsPlugin = fp<{ registry: Registry }>(
  async (app: FastifyInstance, { registry }) => {
    await app.register(metrics.default, {
      endpoint: null,
      defaultMetrics: { enabled: true, register: registry },
      // Its hooks keep a timer for each request and ask for the route's options, which Fastify puts together anew each time.
      routeMetrics: { enabled: false },
    });
    for (const name of LISTED) registry.removeSingleMetric(name);
    countOpenFiles(registry);
    const durations = new PlainHistogram({
      name: 'http_request_duration_seconds',
      help: 'request duration in seconds',
      labelNames: ['method', 'route', 'status_code'],
      buckets: LATENCY_BUCKETS_S,
      registers: [registry],
    });
    app.addHook('onRoute', (options) => {
      const route = options.url;
      const measure: onResponseHookHandler = ({ method }, reply, done) => {
        // A HEAD is no measure of what its route costs.
        if (method !== 'HEAD')
          durations.observe({ method, route, status_code: reply.statusCode }, reply.elapsedTime / 1000);
        done();
      };
      options.onResponse = [options.onResponse ?? [], measure].flat();
    });
  },
  { name: 'rest-metrics' },
);

/** The listener of METRICS_LISTEN_ADDR. */
export async function listenMetrics(
  source: { readonly contentType: string; metrics(): Promise<string> },
  address: ListenAddress,
): Promise<FastifyInstance> {
  const app = Fastify({ logger: false });
  app.get('/metrics', async (_request, reply) => reply.type(source.contentType).send(await source.metrics()));
  await app.listen(address);
  return app;
}
