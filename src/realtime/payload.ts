/** The payloads of the two envelopes as types, in the generated code's camel case: `{ case: 'tripEvent', value }`. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ClientEnvelope, ServerEnvelopeSchema } from './generated/ride/v1/ride_pb.js';

export type ServerPayload = Exclude<
  NonNullable<MessageInitShape<typeof ServerEnvelopeSchema>['payload']>,
  { case: undefined } | { case?: undefined }
>;
export type ClientPayload = Exclude<ClientEnvelope['payload'], { case: undefined }>;
