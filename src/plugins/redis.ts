/** Redis connections: one for commands, one for subscriptions. Both close with the app. */
import fastifyRedis from '@fastify/redis';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Redis } from 'ioredis';

export interface RedisPluginOptions {
  commands: Redis;
  subscriber: Redis;
}

export const redisPlugin = fp<RedisPluginOptions>(
  async (app: FastifyInstance, { commands, subscriber }) => {
    await app.register(fastifyRedis, { client: commands, namespace: 'commands' });
    await app.register(fastifyRedis, { client: subscriber, namespace: 'subscriber' });
    app.addHook('onClose', () => {
      subscriber.disconnect();
      commands.disconnect();
    });
  },
  { name: 'redis' },
);
