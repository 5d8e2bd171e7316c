/** A WebSocket client that speaks protobuf JSON. */
import type { WebSocket } from 'ws';
import { Inbox, type Message } from './inbox.ts';

export interface JsonClient {
  socket: WebSocket;
  inbox: Inbox;
  next: Inbox['next'];
  /** Sends one message, resolves its ack, error or subscribed. */
  ask(message: Message): Promise<Message>;
  /** Sends anything, as it is. */
  raw(data: string | Buffer): void;
  closed: Promise<{ code: number; reason: string }>;
}

export function wrapWebSocket(socket: WebSocket): JsonClient {
  const inbox = new Inbox();
  let asked = 0;
  socket.on('message', (data) => inbox.push(JSON.parse(data.toString())));
  socket.on('error', (error) => inbox.end(error));
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => {
      inbox.end(new Error(`socket closed: ${code} ${reason}`));
      resolve({ code, reason: reason.toString() });
    });
  });
  return {
    socket,
    inbox,
    closed,
    next: (match, what) => inbox.next(match, what),
    ask(message) {
      const corr_id = `q${++asked}`;
      socket.send(JSON.stringify({ corr_id, ...message }));
      return inbox.next((m) => m.corr_id === corr_id, `answer to ${Object.keys(message)}`);
    },
    raw: (data) => socket.send(data),
  };
}
