/**
 * A call that grpc-js serves (reflection, health), read no faster than its answers are taken: grpc-js itself reads on, and whoever
 * asks much and reads nothing, signed in or not, would have the server keep all of it.
 */
import { ServerInterceptingCall } from '@grpc/grpc-js';

export class PacedCall extends ServerInterceptingCall {
  /** Messages that the peer has not taken. */
  #waiting = 0;
  /** A message was asked for meanwhile. */
  #isAsked = false;

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
