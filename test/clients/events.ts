/** A client of server-sent events (WHATWG HTML section 9.2.6), that can stop reading and tells what EventSource hides. */
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { Inbox, type Message } from './inbox.ts';

export interface EventClient {
  status: number;
  headers: IncomingMessage['headers'];
  /** Each event as `{ event, id, retry, [event]: data }`, so that it reads like a message of the other transports. */
  inbox: Inbox;
  next: Inbox['next'];
  /** The id of the last event that had one, as EventSource would send it. */
  lastEventId(): string;
  /** Comment lines so far. */
  comments(): number;
  /** Resolves when the server ended the stream or the connection broke. */
  ended: Promise<void>;
  /** Body of an answer that is no stream. */
  problem(): Promise<Message>;
  pause(): void;
  resume(): void;
  close(): void;
}

class Parser {
  readonly inbox: Inbox;
  lastEventId = '';
  comments = 0;
  #rest = '';
  #fields: Record<string, string> = {};

  constructor(inbox: Inbox) {
    this.inbox = inbox;
  }

  push(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    if (line === '') this.#dispatch();
    else if (line.startsWith(':')) this.comments++;
    else {
      const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line)!;
      this.#fields[name!] = value!;
    }
  }

  #dispatch(): void {
    const { event, data, id, retry } = this.#fields;
    this.#fields = {};
    if (id !== undefined) this.lastEventId = id;
    if (event === undefined && data === undefined) {
      if (retry !== undefined) this.inbox.push({ retry: Number(retry) });
      return;
    }
    this.inbox.push({
      event,
      ...(id === undefined ? {} : { id }),
      ...(retry === undefined ? {} : { retry: Number(retry) }),
      [event ?? 'message']: JSON.parse(data!),
    });
  }
}

/** Asks for a stream; resolves when the head of the answer is there. */
export async function openEvents(
  t: { after(hook: () => void): void },
  host: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<EventClient> {
  const asked: ClientRequest = request(`http://${host}${path}`, {
    headers: { accept: 'text/event-stream', ...headers },
  });
  t.after(() => asked.destroy());
  asked.end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  asked.on('error', () => {});
  const inbox = new Inbox();
  const parser = new Parser(inbox);
  const stream = (response.headers['content-type'] ?? '').startsWith('text/event-stream');
  response.setEncoding('utf8');
  if (stream) response.on('data', (text: string) => parser.push(text));
  const ended = new Promise<void>((resolve) => {
    response.on('error', () => {});
    response.on('close', () => {
      inbox.end(new Error('the stream ended'));
      resolve();
    });
  });
  return {
    status: response.statusCode!,
    headers: response.headers,
    inbox,
    next: (match, what) => inbox.next(match, what),
    lastEventId: () => parser.lastEventId,
    comments: () => parser.comments,
    ended,
    async problem() {
      let text = '';
      for await (const chunk of response) text += chunk;
      return JSON.parse(text);
    },
    pause: () => void response.pause(),
    resume: () => void response.resume(),
    close: () => asked.destroy(),
  };
}
