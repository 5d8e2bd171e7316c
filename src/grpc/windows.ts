/**
 * How much the peer of a gRPC connection may have on its way to here, over all its streams. HTTP/2 begins with 64 KiB, which a proxy
 * that carries thousands of clients over one connection from afar fills within a round trip. The window of each stream stays as it
 * is: what a stream has not read counts there alone, so that a held one takes nothing from the others.
 */
import type { Http2Session, ServerHttp2Stream } from 'node:http2';

export class ConnectionWindows {
  readonly #bytes: number;
  readonly #widened = new WeakSet<Http2Session>();

  /** @param bytes of one connection, at least the 65,535 that HTTP/2 begins with */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** Widens the connection that carries a stream, once; the peer hears of it with what is said next, the welcome. */
  widen({ session }: ServerHttp2Stream): void {
    // The connection may have broken meanwhile.
    if (!session || session.destroyed || this.#widened.has(session)) return;
    this.#widened.add(session);
    session.setLocalWindowSize(this.#bytes);
  }
}
