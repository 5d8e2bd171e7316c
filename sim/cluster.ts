/** The servers of a replay: one on the embedded default, or two that share a Redis and a store. */
import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { MongoClient } from 'mongodb';
import type { ServerAddress } from './clients/rest.ts';
import type { DemoOptions } from './options.ts';
import { freePort, type Program, type ServerProgram, startRedis, startServer } from './programs.ts';

export interface Cluster {
  readonly addresses: ServerAddress[];
  /** What happened, when a server has ended that was not killed on purpose. */
  unexpectedEnd(): string | undefined;
  /** Kills the second server with SIGKILL; says so. */
  killOne(): Promise<string>;
  stop(keepData: boolean): Promise<void>;
}

const HTTP_PORT = 8080;
const GRPC_PORT = 7443;
const METRICS_PORT = 9090;

export type ClusterOptions = Pick<DemoOptions, 'servers' | 'redis' | 'mongodb' | 'basemap'>;

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
      // The first one has the usual ports when they are free, so that the README's examples work on the demo.
      const port = async (usual: number) => (i === 0 ? await freePort(usual) : 0);
      const own = {
        ...shared,
        DATA_DIR: join(directory, `data-${i + 1}`),
        HTTP_LISTEN_ADDR: `127.0.0.1:${await port(HTTP_PORT)}`,
        GRPC_LISTEN_ADDR: `127.0.0.1:${await port(GRPC_PORT)}`,
        METRICS_LISTEN_ADDR: `127.0.0.1:${await port(METRICS_PORT)}`,
      };
      servers.push(await startServer({ name: `server-${i + 1}`, directory, settings: own }));
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

async function dropDatabase(url: string, name: string): Promise<void> {
  const client = await MongoClient.connect(url);
  try {
    await client.db(name).dropDatabase();
  } finally {
    await client.close();
  }
}
