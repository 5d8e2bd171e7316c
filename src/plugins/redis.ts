/** The Redis connections in the app's life: the one for commands is ready before it serves, and both close with it. */
import fastifyRedis from '@fastify/redis';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Redis } from 'ioredis';

export interface RedisPluginOptions {
  commands: Redis;
  /** What listens to channels. */
  bus: { close(): void };
}

export const redisPlugin = fp<RedisPluginOptions>(
  async (app: FastifyInstance, { commands, bus }) => {
    await app.register(fastifyRedis, { client: commands, namespace: 'commands' });
    app.addHook('onClose', () => {
      bus.close();
      commands.disconnect();
    });
  },
  { name: 'redis' },
);
