/** A gRPC server by itself, real grpc-js on both sides, and in the place of the core a connection that notes all. */
import { connect as connectHttp2, type Settings } from 'node:http2';
import { Client, type ClientDuplexStream, credentials, type StatusObject } from '@grpc/grpc-js';
import t from 'tap';
import { startGrpcServer } from '../../src/grpc/server.ts';
import type { GrpcStream } from '../../src/grpc/stream.ts';
import type { Connection } from '../../src/realtime/connection.ts';
import { Frame } from '../../src/realtime/frame.ts';
import type { Gateway } from '../../src/realtime/gateway.ts';
import type { SignedIn } from '../../src/realtime/sign-in.ts';
import { until } from '../until.ts';

export const SERVICE = 'ride.v1.RideStreamService';
const PATH = `/${SERVICE}/Connect`;
export const HEADERS = { ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc', te: 'trailers' };
export const MAX_PAYLOAD = 65_536;
const same = (bytes: Buffer): Buffer => bytes;

/** The core's end of a stream. */
export class Noted {
  readonly stream: GrpcStream;
  readonly got: string[] = [];
  gone_ = 0;
  finished = 0;
  onMessage = (_text: string): void => {};

  constructor(stream: GrpcStream) {
    this.stream = stream;
  }

  binary(bytes: Buffer): void {
    const text = bytes.toString();
    this.got.push(text);
    this.onMessage(text);
  }

  async finish(): Promise<void> {
    this.finished++;
  }

  gone(): void {
    this.gone_++;
  }
}

export const opened: Noted[] = [];
const gateway: Pick<Gateway, 'accept'> = {
  accept(_signedIn, _namespace, transport) {
    const noted = new Noted(transport as GrpcStream);
    opened.push(noted);
    return noted as unknown as Connection;
  },
};
export const serve = () =>
  startGrpcServer({
    listen: { host: '127.0.0.1', port: 0, shared: false },
    gateway: gateway as Gateway,
    door: { knock() {} } as never,
    signIn: async () => ({}) as SignedIn,
    maxPayloadBytes: MAX_PAYLOAD,
    maxUnsignedCalls: 100,
    connectionWindow: 65_535,
    closeTimeoutMs: 500,
  });
const server = await serve();
t.teardown(() => server.close());
export const address = `127.0.0.1:${server.port}`;

export const message = (text: string): Frame => new Frame(Buffer.from(text), 'notification');

interface Opened {
  call: ClientDuplexStream<Buffer, Buffer>;
  core: Noted;
  heard: string[];
  status: Promise<StatusObject>;
}

export async function open(t: Tap): Promise<Opened> {
  const client = new Client(address, credentials.createInsecure());
  t.teardown(() => client.close());
  const before = opened.length;
  const call = client.makeBidiStreamRequest(PATH, same, same);
  const heard: string[] = [];
  call.on('data', (bytes: Buffer) => heard.push(bytes.toString()));
  // An end that is not OK is an error too.
  call.on('error', () => {});
  const status = new Promise<StatusObject>((resolve) => call.on('status', resolve));
  await until(() => opened.length > before, 'the stream to be accepted');
  return { call, core: opened.at(-1)!, heard, status };
}

type Tap = Pick<typeof t, 'teardown'>;

/** A stream of which every byte is ours. */
export async function openRaw(t: Tap, headers: Record<string, string> = {}, settings: Settings = {}) {
  const session = connectHttp2(`http://${address}`, { settings });
  t.teardown(() => session.destroy());
  const before = opened.length;
  const request = session.request({ ...HEADERS, ...headers });
  // Some are reset.
  request.on('error', () => {});
  await until(() => opened.length > before, 'the stream to be accepted');
  return { request, core: opened.at(-1)! };
}

/** A length-prefixed message. */
export function framed(message: string | Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(Buffer.byteLength(message), 1);
  return Buffer.concat([prefix, Buffer.from(message)]);
}
