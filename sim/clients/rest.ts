/**
 * A plain REST client of the contract: keep-alive connections, several servers to choose from, and patience. A call that
 * may be repeated without harm (reads, calls under an Idempotency-Key, steps that their actor may repeat) is repeated, on
 * another server, until it is answered or its deadline has passed.
 */
import { Agent, request } from 'node:http';
import type { Draw } from '../random.ts';

/** Addresses of one server, each `host:port`. */
export interface ServerAddress {
  http: string;
  grpc: string;
}

export interface RestAnswer {
  status: number;
  body: Record<string, unknown>;
  /** Sending the answered attempt to having its answer, milliseconds. */
  tookMs: number;
  server: string;
}

export interface RestCall {
  method: 'GET' | 'POST' | 'PUT';
  path: string;
  token?: string;
  body?: unknown;
  idempotencyKey?: string;
  /** How long to go on repeating, milliseconds. */
  patienceMs?: number;
}

/** No server answered in time, or each answer was a refusal that may pass. */
export class RestUnanswered extends Error {
  constructor(call: RestCall, cause: unknown) {
    super(`${call.method} ${call.path} was not answered`, { cause });
    this.name = 'RestUnanswered';
  }
}

/** An answer whose status says no. */
export class RestRefused extends Error {
  readonly status: number;
  readonly code: string;
  constructor(call: RestCall, answer: RestAnswer) {
    const code = String(answer.body.code ?? 'no code');
    super(`${call.method} ${call.path}: ${answer.status} ${code} ${String(answer.body.detail ?? '')}`);
    this.name = 'RestRefused';
    this.status = answer.status;
    this.code = code;
  }
}

const ATTEMPT_TIMEOUT_MS = 10_000;
const PATIENCE_MS = 60_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

const mayPass = (status: number) => status === 408 || status === 429 || status >= 500;
const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export class RestClient {
  private readonly agent: Agent;
  private readonly servers: readonly ServerAddress[];
  private readonly draw: Draw;
  private preferred: number;
  /** Attempts that failed or were put off, and were made again. */
  repeats = 0;

  constructor(servers: readonly ServerAddress[], draw: Draw, maxSockets = 32) {
    this.servers = servers;
    this.draw = draw;
    this.preferred = Math.floor(draw() * servers.length);
    this.agent = new Agent({ keepAlive: true, maxSockets });
  }

  /** The answer's body. Throws RestRefused for a status of 400 and above, RestUnanswered when patience ends. */
  async call(call: RestCall): Promise<Record<string, unknown>> {
    const answer = await this.ask(call);
    if (answer.status >= 400) throw new RestRefused(call, answer);
    return answer.body;
  }

  /** As `call`, but gives the whole answer, refusals too. */
  async ask(call: RestCall): Promise<RestAnswer> {
    const deadline = Date.now() + (call.patienceMs ?? PATIENCE_MS);
    let pauseMs = FIRST_PAUSE_MS;
    let index = this.preferred;
    for (;;) {
      let problem: unknown;
      let hintMs = 0;
      try {
        const answer = await this.attempt(call, this.servers[index]!);
        if (!mayPass(answer.status)) {
          this.preferred = index;
          return answer;
        }
        problem = new RestRefused(call, answer);
        hintMs = Number(answer.body.retry_after_ms ?? 0);
      } catch (error) {
        problem = error;
      }
      const jittered = Math.max(hintMs, pauseMs * (0.5 + this.draw()));
      if (Date.now() + jittered > deadline) throw new RestUnanswered(call, problem);
      this.repeats += 1;
      index = (index + 1) % this.servers.length;
      await wait(jittered);
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
    }
  }

  /** One attempt on one server; rejects when the connection fails or nothing comes for ten seconds. */
  attempt(call: RestCall, server: ServerAddress): Promise<RestAnswer> {
    const payload = call.body === undefined ? undefined : JSON.stringify(call.body);
    const headers: Record<string, string> = { accept: 'application/json' };
    if (payload !== undefined) headers['content-type'] = 'application/json';
    if (call.token) headers.authorization = `Bearer ${call.token}`;
    if (call.idempotencyKey) headers['idempotency-key'] = call.idempotencyKey;
    const url = `http://${server.http}${call.path}`;
    const startedMs = performance.now();
    return new Promise((resolve, reject) => {
      const options = { method: call.method, headers, agent: this.agent, timeout: ATTEMPT_TIMEOUT_MS };
      const sent = request(url, options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          try {
            const body = text ? (JSON.parse(text) as Record<string, unknown>) : {};
            resolve({
              status: response.statusCode ?? 0,
              body,
              tookMs: performance.now() - startedMs,
              server: server.http,
            });
          } catch (error) {
            reject(new Error(`${url}: the answer is not JSON: ${text.slice(0, 200)}`, { cause: error }));
          }
        });
      });
      sent.on('timeout', () => sent.destroy(new Error(`${url}: no answer in ${ATTEMPT_TIMEOUT_MS} ms`)));
      sent.on('error', reject);
      sent.end(payload);
    });
  }

  /** A development token (`POST /auth/token`). */
  async signIn(
    role: string,
    userId?: string,
    more: Record<string, string> = {},
  ): Promise<{ token: string; userId: string }> {
    const body = await this.call({
      method: 'POST',
      path: '/api/v1/auth/token',
      body: { role, user_id: userId, ...more },
    });
    return { token: String(body.access_token), userId: String(body.user_id) };
  }

  close(): void {
    this.agent.destroy();
  }
}
