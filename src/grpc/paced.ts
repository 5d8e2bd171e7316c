/**
 * A call that grpc-js serves (reflection, health), of anyone, signed in or not. It is read no faster than its answers are taken:
 * grpc-js itself reads on, and whoever asks much and reads nothing would have the server keep all of it. And its messages may not be
 * compressed: what a stranger's few bytes are inflated to is work that he has for nothing.
 */
import { Metadata, ServerInterceptingCall, type ServerInterceptingCallInterface, status } from '@grpc/grpc-js';
import { insideOf } from './call.ts';

export class PacedCall extends ServerInterceptingCall {
  readonly #encoding: string;
  /** Messages that the peer has not taken. */
  #waiting = 0;
  /** A message was asked for meanwhile. */
  #isAsked = false;

  constructor(call: ServerInterceptingCallInterface) {
    super(call);
    this.#encoding = insideOf(call).incomingEncoding;
  }

  override start(listener: Parameters<ServerInterceptingCallInterface['start']>[0]): void {
    if (this.#encoding === 'identity') {
      super.start(listener);
      return;
    }
    // As the compression guide of gRPC has it: the status, and what would be understood.
    const metadata = new Metadata();
    metadata.set('grpc-accept-encoding', 'identity');
    this.sendMetadata(metadata);
    this.sendStatus({
      code: status.UNIMPLEMENTED,
      details: 'Messages to this service may not be compressed',
      metadata: null,
    });
  }

  override startRead(): void {
    if (this.#waiting > 0) this.#isAsked = true;
    else super.startRead();
  }

  override sendMessage(message: unknown, callback: () => void): void {
    this.#waiting++;
    super.sendMessage(message, () => {
      callback();
      if (--this.#waiting > 0 || !this.#isAsked) return;
      this.#isAsked = false;
      super.startRead();
    });
  }
}
