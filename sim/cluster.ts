/** The servers of a replay: one on the embedded default, or two that share a Redis and a store. */
import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { MongoClient } from 'mongodb';
import type { ServerAddress } from './clients/rest.ts';
import { freePort } from './free-port.ts';
import type { DemoOptions } from './options.ts';
import { type Program, type ServerProgram, type ServerSetup, startRedis, startServer } from './programs.ts';

export interface Cluster {
  readonly addresses: ServerAddress[];
  /** What happened, when a server has ended that was not killed on purpose. */
  unexpectedEnd(): string | undefined;
  /** Kills the second server with SIGKILL; says so. */
  killOne(): Promise<string>;
  stop(keepData: boolean): Promise<void>;
}

/** REST and WebSocket, gRPC, metrics. */
const USUAL_PORTS = [8080, 7443, 9090];

export interface ClusterOptions extends Pick<DemoOptions, 'servers' | 'redis' | 'mongodb' | 'basemap'> {
  /** The first server takes 8080, 7443 and 9090 where they are free, so that the README's examples work on it. */
  usualPorts?: boolean;
}

/**
 * Resolves when all servers listen. `settings` are what they have in common beside the stores' addresses. Rejects with the
 * end of the log of the one that does not come up.
 */
export async function startCluster(
  options: ClusterOptions,
  settings: Record<string, string>,
  directory: string,
): Promise<Cluster> {
  const programs: Program[] = [];
  const servers: ServerProgram[] = [];
  const expected = new Set<ServerProgram>();
  const database = `ridestream_demo_${randomBytes(4).toString('hex')}`;

  const stop = async (keepData: boolean) => {
    for (const server of servers) expected.add(server);
    await Promise.all(servers.map((server) => server.stop()));
    await Promise.all(programs.map((program) => program.stop()));
    if (options.mongodb && !keepData) await dropDatabase(options.mongodb, database);
  };

  try {
    let redisUrl = options.redis;
    if (options.servers === 2 && !redisUrl) {
      const redis = await startRedis(directory);
      programs.push(redis);
      redisUrl = redis.url;
    }
    const shared: Record<string, string> = { ...settings };
    if (redisUrl) shared.REDIS_URL = redisUrl;
    if (options.mongodb) Object.assign(shared, { MONGODB_URL: options.mongodb, MONGODB_DATABASE: database });
    else shared.SQLITE_FILE = join(directory, 'ridestream.sqlite');
    if (options.basemap) shared.MAP_BASEMAP = resolve(options.basemap);

    for (let i = 0; i < options.servers; i++) {
      const setup = {
        name: `server-${i + 1}`,
        directory,
        settings: { ...shared, DATA_DIR: join(directory, `data-${i + 1}`) },
      };
      servers.push(
        i === 0 && options.usualPorts ? await startOnUsualPorts(setup) : await startOnPorts(setup, [0, 0, 0]),
      );
    }
  } catch (error) {
    await stop(false);
    throw error;
  }

  return {
    addresses: servers.map((server) => server.address),
    unexpectedEnd() {
      const dead = servers.find((server) => server.ended() !== undefined && !expected.has(server));
      return dead && `${dead.name} has ended (${dead.ended()}); see ${join(directory, `${dead.name}.log`)}`;
    },
    async killOne() {
      const victim = servers[1]!;
      expected.add(victim);
      await victim.kill();
      return `${victim.name} (pid ${victim.pid}) was killed with SIGKILL; its clients reconnect to ${servers[0]!.name}`;
    },
    stop,
  };
}

const startOnPorts = (setup: ServerSetup, [http, grpc, metrics]: readonly number[]) => {
  const listen = { HTTP_LISTEN_ADDR: http, GRPC_LISTEN_ADDR: grpc, METRICS_LISTEN_ADDR: metrics };
  const addresses = Object.entries(listen).map(([name, port]) => [name, `127.0.0.1:${port}`]);
  return startServer({ ...setup, settings: { ...setup.settings, ...Object.fromEntries(addresses) } });
};

async function startOnUsualPorts(setup: ServerSetup): Promise<ServerProgram> {
  try {
    return await startOnPorts(setup, await Promise.all(USUAL_PORTS.map((port) => freePort(port))));
  } catch (error) {
    // Somebody took a port between the look and the use.
    if (!(error as Error).message.includes('EADDRINUSE')) throw error;
    return startOnPorts(setup, [0, 0, 0]);
  }
}

async function dropDatabase(url: string, name: string): Promise<void> {
  const client = await MongoClient.connect(url);
  try {
    await client.db(name).dropDatabase();
  } finally {
    await client.close();
  }
}
