/** The payloads of the two envelopes as types, in the generated code's camel case: `{ case: 'tripEvent', value }`. */
import type { ClientEnvelope } from './generated/ride/v1/ride_pb.js';
import type { ServerEnvelopePayload } from './generated/server-envelope.ts';

export type ServerPayload = ServerEnvelopePayload;
export type ClientPayload = Exclude<ClientEnvelope['payload'], { case: undefined }>;
