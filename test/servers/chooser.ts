/**
 * The least a balancer does: hands each new connection to the next node that says it is ready. And the worst that a network does:
 * every connection through it can be cut, held up in either direction, or closed in one.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { TestScope } from './process.ts';

export interface ChosenNode {
  /** host:port */
  http: string;
  grpc: string;
}

export interface Chooser {
  http: string;
  grpc: string;
  lines: ReadonlySet<Line>;
  isReady(node: ChosenNode): boolean;
}

export type Direction = 'up' | 'down';

/** One connection of a client. */
export class Line {
  readonly #client: Socket;
  readonly #server: Socket;

  constructor(client: Socket, server: Socket, onEnd: (line: Line) => void) {
    this.#client = client;
    this.#server = server;
    for (const [from, to] of [this.#way('up'), this.#way('down')]) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        to.destroy();
        onEnd(this);
      });
    }
  }

  /** `up` is from the client to the server. */
  #way(direction: Direction): readonly [from: Socket, to: Socket] {
    return direction === 'up' ? [this.#client, this.#server] : [this.#server, this.#client];
  }

  /** Both ends are reset, and what was on its way is gone. */
  cut(): void {
    this.#client.resetAndDestroy();
    this.#server.resetAndDestroy();
  }

  /** Nothing passes in one direction for a while; then everything does. */
  hold(direction: Direction, ms: number): void {
    const [from, to] = this.#way(direction);
    from.unpipe(to);
    setTimeout(() => to.writable && from.pipe(to), ms).unref();
  }

  /** One direction is closed in good order, with what was on its way lost; the other goes on. */
  halfClose(direction: Direction): void {
    const [from, to] = this.#way(direction);
    from.unpipe(to);
    to.end();
  }
}

const POLL_MS = 50;

async function answersReady({ http }: ChosenNode): Promise<boolean> {
  try {
    return (await fetch(`http://${http}/readyz`, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
}

/** Listens on two free ports, ends with the test. */
export async function startChooser(t: TestScope, nodes: readonly ChosenNode[]): Promise<Chooser> {
  const ready = new Set<ChosenNode>();
  let turn = 0;
  let isOver = false;
  for (const node of nodes) {
    void (async () => {
      while (!isOver) {
        if (await answersReady(node)) ready.add(node);
        else ready.delete(node);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    })();
  }

  const lines = new Set<Line>();
  function hand(client: Socket, port: keyof ChosenNode): void {
    const candidates = nodes.filter((node) => ready.has(node));
    const node = candidates[turn++ % candidates.length];
    if (!node) {
      client.destroy();
      return;
    }
    const [host, number] = node[port].split(':') as [string, string];
    const server = connect({ port: Number(number), host, allowHalfOpen: true });
    lines.add(new Line(client, server, (line) => lines.delete(line)));
  }

  async function listen(port: keyof ChosenNode): Promise<{ server: Server; address: string }> {
    const server = createServer({ allowHalfOpen: true }, (client) => hand(client, port)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { server, address: `127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  const [http, grpc] = await Promise.all([listen('http'), listen('grpc')]);
  t.after(() => {
    isOver = true;
    for (const { server } of [http, grpc]) server.close();
    for (const line of lines) line.cut();
  });
  return { http: http.address, grpc: grpc.address, lines, isReady: (node) => ready.has(node) };
}
