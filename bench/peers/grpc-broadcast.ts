/** Bare grpc-js that broadcasts: each location goes to every follower's stream, encoded for each, as the library does it. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type ServerDuplexStream, type ServiceDefinition } from '@grpc/grpc-js';
import {
  type ClientEnvelope,
  ClientEnvelopeSchema,
  type ServerEnvelope,
  ServerEnvelopeSchema,
} from '../../src/realtime/generated/ride/v1/ride_pb.js';
import { HOST } from '../harness/programs.ts';
import { serve } from '../harness/remote.ts';

const decode = (bytes: Buffer): ClientEnvelope => fromBinary(ClientEnvelopeSchema, bytes);
const encode = (message: ServerEnvelope): Buffer => Buffer.from(toBinary(ServerEnvelopeSchema, message));

const service: ServiceDefinition = {
  Connect: {
    path: '/ride.v1.RideStreamService/Connect',
    requestStream: true,
    responseStream: true,
    requestSerialize: (message: ClientEnvelope) => Buffer.from(toBinary(ClientEnvelopeSchema, message)),
    requestDeserialize: decode,
    responseSerialize: encode,
    responseDeserialize: (bytes: Buffer) => fromBinary(ServerEnvelopeSchema, bytes),
  },
};

type Call = ServerDuplexStream<ClientEnvelope, ServerEnvelope>;

const followers = new Set<Call>();
let sequence = 0;

function broadcast(topic: string, driverId: string, { payload }: ClientEnvelope): void {
  if (payload.case !== 'locationUpdate') return;
  const { lat = 0, lng = 0, speedMps, headingDeg, accuracyM, recordedAtMs, tripId } = payload.value;
  const envelope = create(ServerEnvelopeSchema, {
    lamport: BigInt(++sequence),
    nodeId: 'ride',
    sequence: BigInt(sequence),
    topic,
    sentAtMs: BigInt(Date.now()),
    payload: {
      case: 'location',
      value: { tripId, driverId, lat, lng, speedMps, headingDeg, accuracyM, recordedAtMs, source: 'stream' },
    },
  });
  for (const call of followers) call.write(envelope);
}

const api = {
  listen({ port, topic, driverId }: { port: number; topic: string; driverId: string }): Promise<void> {
    const server = new Server({ 'grpc.max_concurrent_streams': 10_000 });
    server.addService(service, {
      Connect(call: Call) {
        call.write(create(ServerEnvelopeSchema, { payload: { case: 'welcome', value: {} } }));
        call.on('data', (message: ClientEnvelope) => {
          if (message.payload.case === 'subscribe') {
            followers.add(call);
            call.write(create(ServerEnvelopeSchema, { payload: { case: 'subscribed', value: { topic } } }));
          } else broadcast(topic, driverId, message);
        });
        const gone = (): void => void followers.delete(call);
        call.on('end', () => call.end());
        call.on('cancelled', gone);
        call.on('close', gone);
        // A load that goes away without farewell.
        call.on('error', gone);
      },
    });
    return new Promise((resolve, reject) => {
      server.bindAsync(`${HOST}:${port}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
  },
};

export type GrpcBroadcastApi = typeof api;
serve(api);
