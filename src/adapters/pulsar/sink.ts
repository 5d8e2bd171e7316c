/**
 * The sink on Apache Pulsar, over the producer endpoint of its WebSocket API (pulsar.apache.org, "Pulsar WebSocket API"): one socket
 * a topic, a JSON message for each record, an answer with the same `context` for each.
 *
 * Within a batch a key has one message under way at a time, because the answers say only later that an earlier one was refused: so
 * a later record of a key never overtakes an earlier one. A failure closes the sockets, and the whole batch is sent again: the API
 * takes no sequence number of a message by which Pulsar itself could know a repeat, so consumers know it by `ce_id`, as on Kafka.
 */
import type { IncomingMessage } from 'node:http';
import WebSocket from 'ws';
import { type RecordSink, RecordsRefused, type SinkRecord } from '../../ports/event-sink.ts';

export interface PulsarSinkOptions {
  /** `ws://host:port` or `wss://host:port` of the WebSocket service. */
  url: string;
  /** `tenant/namespace`. */
  namespace: string;
  /** Sent as a bearer token. */
  token?: string | undefined;
  timeoutMs: number;
}

interface Answer {
  result?: string;
  errorMsg?: string;
  context?: string;
}

interface Waiting {
  resolve(): void;
  reject(error: Error): void;
}

/** How a WebSocket ends that was sent more than it takes in one message (RFC 6455, section 7.4.1). */
const TOO_BIG = 1009;
/** In the words of Pulsar's client (ProducerImpl), which the service passes on. */
const TOO_LARGE = /message with \d+ bytes that exceeds \d+ bytes/;

/** One producer: the socket of a topic. */
class TopicSocket {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<string, Waiting>();
  readonly #open: Promise<void>;
  #contexts = 0;
  #end: Error | null = null;

  constructor(url: string, { token, timeoutMs }: PulsarSinkOptions) {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.#socket = new WebSocket(url, { headers, handshakeTimeout: timeoutMs, perMessageDeflate: false });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#open = promise;
    // Whoever sends hears of it.
    promise.catch(() => {});
    this.#socket.on('open', resolve);
    this.#socket.on('message', (data) => this.#answered(data.toString()));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('unexpected-response', (_request, response) => void this.#refused(response));
    this.#socket.on('close', (code, reason) => {
      const words = `Pulsar closed the producer: ${code} ${reason.toString()}`;
      this.#fail(code === TOO_BIG ? new RecordsRefused(words) : new Error(words));
      reject(this.#end);
    });
  }

  get isUsable(): boolean {
    return this.#end === null;
  }

  async send({ key, headers, payload }: SinkRecord): Promise<void> {
    await this.#open;
    if (this.#end) throw this.#end;
    const context = String(++this.#contexts);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.set(context, { resolve, reject });
    this.#socket.send(JSON.stringify({ payload: payload.toString('base64'), properties: headers, key, context }));
    return promise;
  }

  /** Whoever waits is told why. */
  end(reason: Error): void {
    this.#fail(reason);
    this.#socket.terminate();
  }

  #answered(text: string): void {
    let answer: Answer;
    try {
      answer = JSON.parse(text) as Answer;
    } catch {
      this.end(new Error('Pulsar answered what is no JSON'));
      return;
    }
    const waiting = this.#waiting.get(answer.context ?? '');
    if (!waiting) return;
    this.#waiting.delete(answer.context!);
    if (answer.result === 'ok') waiting.resolve();
    else {
      const words = `Pulsar refused a message: ${answer.result} ${answer.errorMsg ?? ''}`;
      waiting.reject(TOO_LARGE.test(words) ? new RecordsRefused(words) : new Error(words));
    }
  }

  /** The status says little (a namespace that is not there is a 500), the page that comes with it more. */
  async #refused(response: IncomingMessage): Promise<void> {
    let page = '';
    try {
      for await (const part of response.setEncoding('utf8')) if (page.length < MOST_OF_PAGE) page += part;
    } catch (error) {
      page += ` (${String(error)})`;
    }
    this.end(new Error(`Pulsar refused the producer: ${response.statusCode} ${wordsOf(page)}`));
  }

  #fail(error: Error): void {
    this.#end ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#end);
    this.#waiting.clear();
  }
}

/** Characters of a page that are read. */
const MOST_OF_PAGE = 16_384;

const ENTITIES: Readonly<Record<string, string>> = {
  '&quot;': '"',
  '&lt;': '<',
  '&gt;': '>',
  '&apos;': "'",
  '&amp;': '&',
};

/** The reason on an error page of Pulsar's web server, or else what it says without its tags. */
function wordsOf(page: string): string {
  const reason =
    /<th>MESSAGE:<\/th><td>(.*?)<\/td>/s.exec(page)?.[1] ?? page.replace(/<style.*?<\/style>|<[^>]*>/gs, ' ');
  const text = reason.replace(/&\w+;/g, (entity) => ENTITIES[entity] ?? entity);
  return text.replace(/\s+/g, ' ').trim().slice(0, 300);
}

export function createPulsarSink(options: PulsarSinkOptions): RecordSink {
  const sockets = new Map<string, TopicSocket>();

  function socketOf(topic: string): TopicSocket {
    const known = sockets.get(topic);
    if (known?.isUsable) return known;
    const path = `/ws/v2/producer/persistent/${options.namespace}/${topic}`;
    const query = new URLSearchParams({
      sendTimeoutMillis: String(options.timeoutMs),
      // The same partition for a key as by any other client.
      hashingScheme: 'Murmur3_32Hash',
    });
    const socket = new TopicSocket(`${options.url.replace(/\/$/, '')}${path}?${query}`, options);
    sockets.set(topic, socket);
    return socket;
  }

  function dropAll(reason: Error): void {
    for (const socket of sockets.values()) socket.end(reason);
    sockets.clear();
  }

  return {
    async send(records) {
      const late = AbortSignal.timeout(options.timeoutMs);
      const stop = (): void => dropAll(new Error(`no answer of Pulsar within ${options.timeoutMs} ms`));
      late.addEventListener('abort', stop, { once: true });
      try {
        const byKey = Map.groupBy(records, ({ topic, key }) => `${topic}/${key}`);
        await Promise.all(
          [...byKey.values()].map(async (ofKey) => {
            for (const record of ofKey) await socketOf(record.topic).send(record);
          }),
        );
      } catch (error) {
        dropAll(error instanceof Error ? error : new Error(String(error)));
        throw error;
      } finally {
        late.removeEventListener('abort', stop);
      }
    },
    async close() {
      dropAll(new Error('the sink is closed'));
    },
  };
}
