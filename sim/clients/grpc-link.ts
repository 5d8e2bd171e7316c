/**
 * A driver's gRPC stream, from the proto file alone (no generated code of the server). Each driver has a stream of its own;
 * streams share a few channels (TCP connections) for each server, about fifty to a channel, as a proxy in front of phones would.
 */
import { fileURLToPath } from 'node:url';
import {
  type ClientDuplexStream,
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { Envelope, Link, LinkEvents } from './link.ts';

type Stream = ClientDuplexStream<Envelope, Envelope>;
interface StreamClient {
  Connect(metadata: Metadata): Stream;
  close(): void;
}

const STREAMS_PER_CHANNEL = 50;
const protoFile = fileURLToPath(new URL('../../proto/ride/v1/ride.proto', import.meta.url));

export class GrpcChannels {
  private readonly Service: ServiceClientConstructor;
  private readonly clients = new Map<string, StreamClient[]>();
  private readonly channels: number;
  private opened = 0;

  /** `streams`: how many are to be open at most, over all servers. */
  constructor(streams: number) {
    const definition = loadSync(protoFile, {
      keepCase: true,
      longs: Number,
      enums: String,
      defaults: false,
      oneofs: true,
    });
    const loaded = loadPackageDefinition(definition) as unknown as {
      ride: { v1: { RideStreamService: ServiceClientConstructor } };
    };
    this.Service = loaded.ride.v1.RideStreamService;
    this.channels = Math.max(1, Math.ceil(streams / STREAMS_PER_CHANNEL));
  }

  /** Opens a stream. `server` is host:port, without TLS. */
  open(server: string, token: string, events: LinkEvents): Link {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    const stream = this.client(server).Connect(metadata);
    let ended = false;
    const end = (reason: string) => {
      if (ended) return;
      ended = true;
      events.onEnd(reason);
    };
    stream.on('data', events.onMessage);
    stream.on('error', (error) => end(error.message));
    stream.on('end', () => end('the server ended the stream'));
    return {
      send: (envelope) => {
        if (!ended) stream.write(envelope);
      },
      close: () => {
        stream.end();
        stream.cancel();
        end('closed by the driver');
      },
    };
  }

  close(): void {
    for (const clients of this.clients.values()) for (const client of clients) client.close();
    this.clients.clear();
  }

  private client(server: string): StreamClient {
    let clients = this.clients.get(server);
    if (!clients) {
      clients = Array.from({ length: this.channels }, () => this.connect(server));
      this.clients.set(server, clients);
    }
    return clients[this.opened++ % clients.length]!;
  }

  private connect(server: string): StreamClient {
    const client = new this.Service(server, credentials.createInsecure(), {
      // Without its own pool, all channels to one address would share one connection.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.initial_reconnect_backoff_ms': 200,
      'grpc.max_reconnect_backoff_ms': 2_000,
    });
    return client as unknown as StreamClient;
  }
}
