/** Messages that came, and waiting for one that has not come yet. */
import { LIMIT_MS } from '../until.ts';

/** A ServerEnvelope as protobuf JSON (64-bit integers are strings over WebSocket, numbers over the gRPC client). */
// biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects
export type Message = Record<string, any>;

export class Inbox {
  /** Everything, in the order of arrival. */
  readonly all: Message[] = [];
  /** Called with each message as it comes. */
  onMessage: ((message: Message) => void) | null = null;
  readonly #waiting = new Set<() => void>();
  #end: Error | null = null;
  #read = 0;

  push(message: Message): void {
    this.all.push(message);
    this.onMessage?.(message);
    for (const check of [...this.#waiting]) check();
  }

  /** No more will come: whoever waits is told why. */
  end(reason: Error): void {
    this.#end ??= reason;
    for (const check of [...this.#waiting]) check();
  }

  /** The first message from the last `next` on that `match` holds for; rejects when none comes. */
  next(match: (message: Message) => boolean, what = 'message'): Promise<Message> {
    return this.#find(this.#read, match, what, (at) => {
      this.#read = at + 1;
    });
  }

  /** The first message of all that `match` holds for, come already or not; `next` still sees every message. */
  find(match: (message: Message) => boolean, what = 'message'): Promise<Message> {
    return this.#find(0, match, what, () => {});
  }

  #find(
    from: number,
    match: (message: Message) => boolean,
    what: string,
    taken: (at: number) => void,
  ): Promise<Message> {
    return new Promise((resolve, reject) => {
      let at = from;
      const done = (settle: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(check);
        settle();
      };
      const check = (): void => {
        for (; at < this.all.length; at++) {
          if (!match(this.all[at]!)) continue;
          taken(at);
          done(() => resolve(this.all[at]!));
          return;
        }
        if (this.#end) done(() => reject(this.#end));
      };
      const timer = setTimeout(() => {
        const kinds = this.all.map((m) => Object.keys(m).at(-1)).join(' ');
        done(() => reject(new Error(`no such ${what} within ${LIMIT_MS} ms; got: ${kinds}`)));
      }, LIMIT_MS);
      this.#waiting.add(check);
      check();
    });
  }
}
