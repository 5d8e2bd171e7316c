/** Bare grpc-js with the codec of ours: sends every message back, and nothing else. */
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type ServerDuplexStream, type ServiceDefinition } from '@grpc/grpc-js';
import { type ClientEnvelope, ClientEnvelopeSchema } from '../../src/realtime/generated/ride/v1/ride_pb.js';
import { HOST } from '../harness/programs.ts';
import { serve } from '../harness/remote.ts';

const encode = (message: ClientEnvelope): Buffer => Buffer.from(toBinary(ClientEnvelopeSchema, message));
const decode = (bytes: Buffer): ClientEnvelope => fromBinary(ClientEnvelopeSchema, bytes);

const service: ServiceDefinition = {
  Connect: {
    path: '/ride.v1.RideStreamService/Connect',
    requestStream: true,
    responseStream: true,
    requestSerialize: encode,
    requestDeserialize: decode,
    responseSerialize: encode,
    responseDeserialize: decode,
  },
};

const api = {
  listen({ port }: { port: number }): Promise<void> {
    const server = new Server({ 'grpc.max_concurrent_streams': 10_000 });
    server.addService(service, {
      Connect(call: ServerDuplexStream<ClientEnvelope, ClientEnvelope>) {
        call.on('data', (message) => call.write(message));
        call.on('end', () => call.end());
        // A load that goes away without farewell.
        call.on('error', () => {});
      },
    });
    return new Promise((resolve, reject) => {
      server.bindAsync(`${HOST}:${port}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
  },
};

export type GrpcPeerApi = typeof api;
serve(api);
