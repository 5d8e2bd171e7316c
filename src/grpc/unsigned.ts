/**
 * Calls whose caller is not known: a stream until its sign-in, reflection and health for as long as they last. One connection may
 * have as many streams at once as HTTP/2 lets it, and each costs memory that nobody has answered for; so these are counted.
 */
import { constants, type Http2Session, type ServerHttp2Stream } from 'node:http2';

export class UnsignedCalls {
  readonly #max: number;
  readonly #underWay = new WeakMap<Http2Session, number>();
  /** The connection of each call that is counted; one that has ended has forgotten it. */
  readonly #sessions = new WeakMap<ServerHttp2Stream, Http2Session>();
  readonly #closed: (this: ServerHttp2Stream) => void;

  /** @param max calls of one connection at once */
  constructor(max: number) {
    this.#max = max;
    const leave = this.leave.bind(this);
    this.#closed = function () {
      leave(this);
    };
  }

  /**
   * Counts a call until it ends or `leave` is called for it. One too many is reset at once, which clients know as
   * RESOURCE_EXHAUSTED: a status would wait for as long as the peer does not read it.
   */
  enter(stream: ServerHttp2Stream): void {
    const { session } = stream;
    // The connection broke before its call was looked at.
    if (!session) return;
    const underWay = this.#underWay.get(session) ?? 0;
    if (underWay >= this.#max) {
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    this.#underWay.set(session, underWay + 1);
    this.#sessions.set(stream, session);
    stream.on('close', this.#closed);
  }

  /** Its caller is known, or it has ended; more than once does no harm. */
  leave(stream: ServerHttp2Stream): void {
    const session = this.#sessions.get(stream);
    if (!session) return;
    this.#sessions.delete(stream);
    this.#underWay.set(session, this.#underWay.get(session)! - 1);
    stream.off('close', this.#closed);
  }
}
