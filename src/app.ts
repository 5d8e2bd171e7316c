/**
 * The whole server on one page: the outside world, the domain over it, the realtime core and what Fastify serves are put
 * together (each in its file of src/compose/), then live from listening to the end of the drain. Read it top to bottom.
 */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, { type FastifyInstance } from 'fastify';
import { composeDomain, domainGauges, startJobs } from './compose/domain.ts';
import { registerHttp } from './compose/http.ts';
import { Opened } from './compose/opened.ts';
import { type NodeConfig, openOutside } from './compose/outside.ts';
import { composeRealtime, startTimers, watchGauges } from './compose/realtime.ts';
import { openSinks } from './compose/sink.ts';
import { startGrpcServer } from './grpc/server.ts';
import { listenMetrics, type MetricsSnapshot } from './plugins/metrics.ts';
import type { Logger } from './ports/logger.ts';
import { grpcTls, loggerOptions, serverOptions } from './settings.ts';
import { isUpgrade } from './websocket/upgrades.ts';

export interface Listening {
  /** `host:port` of each listener. */
  http: string;
  grpc: string;
  /** Empty in a worker. */
  metrics: string;
}

export interface RideServer {
  app: FastifyInstance;
  /** What this process has counted. */
  metrics(): Promise<MetricsSnapshot>;
  /** Opens everything and listens. When it rejects, the server is closed. */
  listen(): Promise<Listening>;
  /** Graceful stop within DRAIN_DEADLINE: refuse, go-away, flush, close. Never rejects: what fails is logged. */
  close(): Promise<void>;
}

export interface AppOptions {
  config: NodeConfig;
  /** One of several processes that share the ports of this machine; the supervisor serves the metrics of all. */
  isWorker?: boolean;
}

/** When it rejects, all that it opened is closed again. @throws RideError RIDE_UNAVAILABLE that names what cannot be used: Redis, a folder, a file */
export async function buildApp(options: AppOptions): Promise<RideServer> {
  const { config } = options;
  const app = Fastify({
    ...serverOptions(config),
    logger: loggerOptions(config),
    http: { shouldUpgradeCallback: isUpgrade },
  }).withTypeProvider<TypeBoxTypeProvider>();
  const opened = new Opened(app.log);
  opened.add('HTTP', app, (one) => one.close());
  try {
    return await compose(app, options, opened);
  } catch (error) {
    await opened.closeAll();
    throw error;
  }
}

async function compose(
  app: FastifyInstance,
  { config, isWorker = false }: AppOptions,
  opened: Opened,
): Promise<RideServer> {
  const log: Logger = app.log;
  const state = { started: false, draining: false };

  const outside = await openOutside(config, log, opened);
  const { nodeId, registry, queues, directory } = outside;
  const sinks = await openSinks(config, outside, log, opened);
  const services = composeDomain(config, { ...outside, sink: sinks.sink }, log);
  const realtime = composeRealtime(config, outside, services, log);
  const { broker, gateway, door, presence, calls } = realtime;
  const { signIn } = await registerHttp(app, { config, outside, services, realtime, state, log });
  outside.gauge('ride_stream_queue_depth', 'Outbound messages that wait in session buffers', () => broker.queueDepth());
  outside.gauge('ride_stream_draining', 'Processes that send their sessions away', () => Number(broker.draining));
  watchGauges(outside, services);
  domainGauges(outside, services, log);

  let stopTimers: (() => void) | undefined;
  let grpc: Awaited<ReturnType<typeof startGrpcServer>> | undefined;
  let metricsApp: FastifyInstance | undefined;

  async function open(): Promise<Listening> {
    await app.ready();
    await startJobs(config, outside, services, log);
    await Promise.all([calls.listen(), presence.tick(), services.geofences.refresh(), services.sos.alarmed.refresh()]);
    stopTimers = startTimers(config, outside, services, realtime, log);
    sinks.startConsumer();
    // Fastify hands on what Node knows beyond Fastify's own types.
    const address = { ...config.httpListen, reusePort: isWorker };
    const http = await app.listen(address);
    grpc = await startGrpcServer({
      listen: { ...config.grpcListen, shared: isWorker },
      gateway,
      signIn,
      door,
      maxPayloadBytes: config.maxPayloadBytes,
      maxUnsignedCalls: config.maxUnsignedCalls,
      connectionWindow: config.grpcConnectionWindow,
      ...grpcTls(config),
    });
    if (!isWorker) metricsApp = await listenMetrics(registry, config.metricsListen);
    state.started = true;
    return {
      http: new URL(http).host,
      grpc: `${config.grpcListen.host}:${grpc.port}`,
      metrics: metricsApp ? new URL(metricsApp.listeningOrigin).host : '',
    };
  }

  async function listen(): Promise<Listening> {
    try {
      return await open();
    } catch (error) {
      await close();
      throw error;
    }
  }

  /** One step of the closing: what fails in it must not keep the others from their end. */
  async function step(what: string, run: () => unknown): Promise<void> {
    try {
      await run();
    } catch (error) {
      log.warn({ err: error }, `while stopping: ${what}; the rest goes on`);
    }
  }

  async function stopTraffic(): Promise<void> {
    const jitter = Math.min(config.drainJitter, config.drainDeadline / 2);
    await step('sessions not drained', () => gateway.drain(broker.size === 0 ? 0 : jitter));
    await step('requests not finished', () => app.requests.finish());
    await step('queues not closed', () => queues.close());
    await step('the watch not idle', () => Promise.all([services.watch.idle(), services.duty.idle()]));
    await step('events of others not finished', () => sinks.stopConsumer());
    await step('relays not idle', () => Promise.all(services.relays.map((relay) => relay.idle())));
  }

  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= closeAll();
    return closing;
  };

  async function closeAll(): Promise<void> {
    state.draining = true;
    await step('gRPC not drained', () => grpc?.drain());
    if (isWorker) {
      // Who connects to the shared port now is to reach another worker, not to be refused by this one.
      app.server.close();
      grpc?.stopListening();
    }
    const deadline = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      log.warn({ sessions: broker.size }, 'the drain deadline has passed; what is left is cut off');
      deadline.resolve();
    }, config.drainDeadline);
    await Promise.race([stopTraffic(), deadline.promise]);
    clearTimeout(timer);
    stopTimers?.();
    await step('gRPC not closed', () => grpc?.close());
    await step('presence ends with its lease', () => presence.retire());
    await step('the lease of this node runs out by itself', () => directory.leave(nodeId));
    await step('events that leave not kept', () => sinks.close());
    await step('HTTP not closed', () => app.close());
    await step('metrics not closed', () => metricsApp?.close());
  }

  return { app, metrics: () => registry.getMetricsAsJSON(), listen, close };
}
