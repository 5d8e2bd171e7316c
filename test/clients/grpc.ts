/** A gRPC client of ride.v1, by the proto file alone. */
import { fileURLToPath } from 'node:url';
import {
  type Client,
  type ClientDuplexStream,
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { Inbox, type Message } from './inbox.ts';

export interface GrpcClient {
  call: ClientDuplexStream<Message, Message>;
  inbox: Inbox;
  next: Inbox['next'];
  ask(message: Message): Promise<Message>;
  ended: Promise<ServiceError | null>;
  close(): void;
}

const PROTO = fileURLToPath(new URL('../../proto/ride/v1/ride.proto', import.meta.url));
const definition = loadSync(PROTO, { keepCase: true, longs: Number, enums: String });

interface RideClient extends Client {
  Connect(metadata: Metadata): ClientDuplexStream<Message, Message>;
}

export function connectGrpc(address: string, token?: string): GrpcClient {
  // biome-ignore lint/suspicious/noExplicitAny: proto-loader's types are dynamic
  const RideService = (loadPackageDefinition(definition) as any).ride.v1.RideStreamService;
  const client: RideClient = new RideService(address, credentials.createInsecure());
  const metadata = new Metadata();
  if (token) metadata.set('authorization', `Bearer ${token}`);
  const call = client.Connect(metadata);
  const inbox = new Inbox();
  let asked = 0;
  call.on('data', (message: Message) => inbox.push(message));
  const ended = new Promise<ServiceError | null>((resolve) => {
    call.on('error', (error: ServiceError) => {
      inbox.end(error);
      resolve(error);
    });
    call.on('end', () => {
      inbox.end(new Error('stream ended'));
      resolve(null);
    });
  });
  return {
    call,
    inbox,
    ended,
    next: (match, what) => inbox.next(match, what),
    ask(message) {
      const corr_id = `q${++asked}`;
      call.write({ corr_id, ...message });
      return inbox.next((m) => m.corr_id === corr_id, `answer to ${Object.keys(message)}`);
    },
    close() {
      call.cancel();
      client.close();
    },
  };
}
