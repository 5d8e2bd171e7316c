/** The least a balancer does: hands each new connection to the next node that says it is ready. */
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
  isReady(node: ChosenNode): boolean;
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

  const sockets = new Set<Socket>();
  function hand(client: Socket, port: keyof ChosenNode): void {
    const candidates = nodes.filter((node) => ready.has(node));
    const node = candidates[turn++ % candidates.length];
    if (!node) {
      client.destroy();
      return;
    }
    const [host, number] = node[port].split(':') as [string, string];
    const server = connect(Number(number), host);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  }

  async function listen(port: keyof ChosenNode): Promise<{ server: Server; address: string }> {
    const server = createServer((client) => hand(client, port)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { server, address: `127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  const [http, grpc] = await Promise.all([listen('http'), listen('grpc')]);
  t.after(() => {
    isOver = true;
    for (const { server } of [http, grpc]) server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { http: http.address, grpc: grpc.address, isReady: (node) => ready.has(node) };
}
