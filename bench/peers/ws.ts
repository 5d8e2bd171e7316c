/**
 * Bare `ws`, at its best: a Map of topics, the frame of an event built once (`Sender.frame`) and written straight to each
 * subscriber's socket. No sign-in, no limits, no metrics, no other node.
 */
import type { Socket } from 'node:net';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import * as ws from 'ws';
import { ClientEnvelopeSchema } from '../../src/realtime/generated/ride/v1/ride_pb.js';
import { HOST } from '../harness/programs.ts';
import { serve } from '../harness/remote.ts';

/** Exported, but not in the types. */
const { Sender } = ws as unknown as { Sender: { frame(data: Buffer, options: object): Buffer[] } };
const topics = new Map<string, Set<Socket>>();

/** One buffer, header and payload: what every subscriber is written. */
function frameOf(data: Buffer): Buffer {
  return Buffer.concat(Sender.frame(data, { fin: true, rsv1: false, opcode: 2, mask: false, readOnly: true }));
}

function broadcast(event: Buffer): void {
  const subscribers = topics.get(String(event.readUInt32LE(0)));
  if (!subscribers) return;
  const frame = frameOf(event);
  for (const socket of subscribers) socket.write(frame);
}

function follow(topic: string, socket: Socket): void {
  const subscribers = topics.get(topic);
  if (subscribers) subscribers.add(socket);
  else topics.set(topic, new Set([socket]));
  socket.once('close', () => topics.get(topic)?.delete(socket));
}

const api = {
  /** `echo` decodes and encodes each message by the codec of ours. */
  listen({ port, echo }: { port: number; echo: boolean }): Promise<void> {
    const server = new ws.WebSocketServer({ host: HOST, port, perMessageDeflate: false });
    server.on('connection', (peer, request) => {
      const { socket } = request;
      peer.on('message', (data: ws.RawData, isBinary) => {
        const bytes = data as Buffer;
        if (!isBinary) {
          if (bytes.length === 0) return;
          follow(bytes.toString(), socket);
          peer.send('ok');
        } else if (echo) peer.send(toBinary(ClientEnvelopeSchema, fromBinary(ClientEnvelopeSchema, bytes)));
        else broadcast(bytes);
      });
    });
    return new Promise((resolve, reject) => {
      server.once('listening', resolve);
      server.once('error', reject);
    });
  },
};

export type WsPeerApi = typeof api;
serve(api);
