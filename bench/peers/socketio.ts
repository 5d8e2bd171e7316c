/** Socket.IO 4.8 with rooms, WebSocket only; with `redisUrl` its Redis adapter, for two processes. */
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { HOST } from '../harness/programs.ts';
import { serve } from '../harness/remote.ts';

const api = {
  async listen({ port, redisUrl }: { port: number; redisUrl?: string }): Promise<void> {
    const http = createServer();
    const io = new Server(http, { transports: ['websocket'], serveClient: false });
    if (redisUrl) io.adapter(createAdapter(new Redis(redisUrl), new Redis(redisUrl)));
    io.on('connection', (socket) => {
      socket.on('join', async (topic: string, done: () => void) => {
        await socket.join(topic);
        done();
      });
      socket.on('pub', (topic: string, payload: string) => {
        io.to(topic).emit('e', payload);
      });
      socket.on('beat', () => {});
    });
    await new Promise<void>((resolve, reject) => {
      http.once('error', reject);
      http.listen(port, HOST, resolve);
    });
  },
};

export type SocketIoPeerApi = typeof api;
serve(api);
