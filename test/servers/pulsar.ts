/**
 * Pulsar's WebSocket service as its documentation describes the producer endpoint ("Pulsar WebSocket API": path, parameters, token,
 * message, answers, error codes), refusing as a real one was seen to: the jars of that are more than every run may take, and `script/pulsar-test`
 * has it (real-pulsar.ts). What it took is kept in memory.
 */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { TestScope } from './process.ts';

export interface PulsarMessage {
  topic: string;
  key: string;
  properties: Record<string, string>;
  payload: Buffer;
}

export interface PulsarServer {
  url: string;
  /** Everything that was taken, in order. */
  taken: PulsarMessage[];
  /** `METHOD path?query` of every producer that was opened. */
  opened: string[];
  /** How it answers from now on. `refuse`: with an error; `silent`: not at all; `drop`: it takes the message and closes before the answer. */
  mood: 'ok' | 'refuse' | 'silent' | 'drop';
  /** A larger payload is refused in the words of Pulsar's client, a larger message by ending the socket, as its web server does. */
  mostBytes: number;
  mostFrameBytes: number;
  /** Ends every connection and listens no more. */
  stop(): Promise<void>;
  /** On the same port. */
  start(): Promise<void>;
}

const NO_LIMITS = { mostBytes: Number.POSITIVE_INFINITY, mostFrameBytes: Number.POSITIVE_INFINITY };

const PATH = /^\/ws\/v2\/producer\/persistent\/([\w.-]+)\/([\w.-]+)\/([\w.-]+)$/;
const PARAMETERS = new Set([
  'sendTimeoutMillis',
  'batchingEnabled',
  'batchingMaxMessages',
  'maxPendingMessages',
  'batchingMaxPublishDelay',
  'messageRoutingMode',
  'compressionType',
  'producerName',
  'initialSequenceId',
  'hashingScheme',
  'token',
]);
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const NO_NAMESPACE = 'Failed to create producer/consumer: {&quot;errorMsg&quot;:&quot;Namespace not found&quot;}';

/** A refusal as its web server words it. */
const pageOf = (status: number, message: string): string =>
  `<html><head><title>Error ${status}</title></head><body><table><tr><th>STATUS:</th><td>${status}</td></tr>` +
  `<tr><th>MESSAGE:</th><td>${message}</td></tr></table></body></html>`;

export async function startPulsar(t: TestScope, token?: string): Promise<PulsarServer> {
  let server: WebSocketServer | null = null;
  let port = 0;
  let entries = 0;
  const pulsar: PulsarServer = { url: '', taken: [], opened: [], mood: 'ok', ...NO_LIMITS, stop, start };

  function serve(socket: WebSocket, topic: string): void {
    socket.on('message', (data) => {
      const answer = (fields: object): void => socket.send(JSON.stringify(fields));
      const text = data.toString();
      if (text.length > pulsar.mostFrameBytes) return socket.close(1009, 'Text message too large');
      let message: Record<string, unknown>;
      try {
        message = JSON.parse(text);
      } catch {
        return answer({ result: 'send-error:3', errorMsg: 'Failed to de-serialize from JSON' });
      }
      const { payload, properties = {}, key = '', context } = message;
      if (typeof payload !== 'string' || !BASE64.test(payload)) {
        return answer({ result: 'send-error:7', errorMsg: 'Invalid payload encoding', context });
      }
      if (pulsar.mood === 'silent') return;
      if (pulsar.mood === 'refuse') return answer({ result: 'send-error:8', errorMsg: 'Unknown error', context });
      const bytes = Buffer.from(payload, 'base64').length;
      if (bytes > pulsar.mostBytes) {
        const said = `The producer p of the topic ${topic} sends a message with ${bytes} bytes that exceeds ${pulsar.mostBytes} bytes`;
        return answer({ result: 'send-error:8', errorMsg: said, context });
      }
      pulsar.taken.push({
        topic,
        key: key as string,
        properties: properties as Record<string, string>,
        payload: Buffer.from(payload, 'base64'),
      });
      if (pulsar.mood === 'drop') return socket.terminate();
      answer({ result: 'ok', messageId: Buffer.from(`entry ${++entries}`).toString('base64'), context });
    });
  }

  async function start(): Promise<void> {
    server = new WebSocketServer({
      host: '127.0.0.1',
      port,
      verifyClient(
        { req }: { req: IncomingMessage },
        answer: (isWelcome: boolean, status?: number, page?: string) => void,
      ) {
        const { pathname, searchParams } = new URL(req.url!, 'ws://localhost');
        if (token !== undefined && req.headers.authorization !== `Bearer ${token}`) {
          answer(false, 401, pageOf(401, 'Authentication required'));
        } else if ([...searchParams.keys()].some((name) => !PARAMETERS.has(name)))
          answer(false, 400, pageOf(400, 'Invalid query params'));
        else if (PATH.test(pathname)) answer(true);
        else answer(false, 404, pageOf(404, NO_NAMESPACE));
      },
    });
    server.on('connection', (socket, request) => {
      const url = new URL(request.url!, 'ws://localhost');
      pulsar.opened.push(url.pathname + url.search);
      serve(socket, PATH.exec(url.pathname)!.slice(1).join('/'));
    });
    await once(server, 'listening');
    const address = server.address() as AddressInfo;
    port = address.port;
    pulsar.url = `ws://127.0.0.1:${port}`;
  }

  async function stop(): Promise<void> {
    if (!server) return;
    const closing = server;
    server = null;
    for (const socket of closing.clients) socket.terminate();
    closing.close();
    await once(closing, 'close');
  }

  t.after(stop);
  await start();
  return pulsar;
}
