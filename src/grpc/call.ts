/** What a call of grpc-js has and does not promise to have; docs/decisions/0008-grpc-fast-path.md says what for. */
import type { ServerHttp2Stream } from 'node:http2';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';

export interface Inside {
  /** What carries it. */
  stream: ServerHttp2Stream;
  /** Its `grpc-encoding`, which grpc-js takes from the metadata: how the client compresses, `identity` if not at all. */
  incomingEncoding: string;
}

export const insideOf = (call: ServerInterceptingCallInterface): Inside => call as unknown as Inside;
