/** Several nodes as programs of their own, over one Redis and one store; each can be ended in any way and started again. */
import { join } from 'node:path';
import { freePort } from '../../sim/free-port.ts';
import { type ServerProgram, startServer } from '../../sim/programs.ts';
import type { ChosenNode } from './chooser.ts';
import { ownDatabase } from './own-store.ts';
import type { TestScope } from './process.ts';

const UNLIMITED = '1000000';

export interface Node extends ChosenNode {
  name: string;
  program: ServerProgram;
  /** On the same ports as before. */
  start(): Promise<void>;
}

/** Starts nodes n1, n2, … with their logs and store in `directory`; they end with the test. `settings`: over the defaults. */
export async function startNodes(
  t: TestScope,
  count: number,
  directory: string,
  settings: Record<string, string>,
): Promise<Node[]> {
  const nodes: Node[] = [];
  const store = { SQLITE_FILE: join(directory, 'shared.sqlite'), ...ownDatabase(t) };
  for (let n = 1; n <= count; n++) {
    const name = `n${n}`;
    const [http, grpc] = await Promise.all([freePort(), freePort()]);
    const own = {
      HTTP_LISTEN_ADDR: `127.0.0.1:${http}`,
      GRPC_LISTEN_ADDR: `127.0.0.1:${grpc}`,
      METRICS_LISTEN_ADDR: '127.0.0.1:0',
      ...store,
      DATA_DIR: join(directory, name),
      REGION: 'test',
      LOG_LEVEL: 'info',
      RATE_LIMIT_DEFAULT: UNLIMITED,
      RATE_LIMIT_AUTHENTICATED: UNLIMITED,
      RATE_LIMIT_PREMIUM: UNLIMITED,
      CONNECTION_RATE: UNLIMITED,
      CONNECTION_BURST: UNLIMITED,
      SOCKET_LIMIT_GENERAL: UNLIMITED,
      SOCKET_LIMIT_LOCATION: UNLIMITED,
      SOCKET_LIMIT_CHAT: UNLIMITED,
      TRIP_REQUEST_LIMIT: UNLIMITED,
      ...settings,
    };
    nodes.push({
      name,
      http: `127.0.0.1:${http}`,
      grpc: `127.0.0.1:${grpc}`,
      program: undefined as never,
      async start() {
        this.program = await startServer({ name, directory, settings: own });
      },
    });
  }
  t.after(async () => {
    await Promise.all(nodes.map(({ program }) => program?.stop()));
  });
  // One after another: the first makes the store.
  for (const node of nodes) await node.start();
  return nodes;
}
