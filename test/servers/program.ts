/** The server as a program of its own, as an operator would start it; ended with the test. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServerProgram, startServer } from '../../sim/programs.ts';
import { type Clients, clientsOf, type TestScope } from '../helper.ts';
import { ownDatabase } from './own-store.ts';

export interface RunningProgram extends Clients {
  program: ServerProgram;
  /** DATA_DIR. */
  folder: string;
  /** Settings of another one on the same store. */
  store: Record<string, string>;
  /** Everything it logged, a line each. */
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects
  log(): Promise<any[]>;
}

const UNLIMITED = '1000000';

/** Starts it on free ports. Rejects with the end of its log when it does not come up. */
export async function startProgram(t: TestScope, settings: Record<string, string> = {}): Promise<RunningProgram> {
  // Short, because a socket path may have 103 bytes.
  const folder = await mkdtemp(join(tmpdir(), 'rs-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const name = 'server';
  const store = { SQLITE_FILE: join(folder, 'ridestream.sqlite'), ...ownDatabase(t) };
  const program = await startServer({
    name,
    directory: folder,
    settings: {
      HTTP_LISTEN_ADDR: ':0',
      GRPC_LISTEN_ADDR: ':0',
      METRICS_LISTEN_ADDR: ':0',
      CITY: 'testville',
      REGION: 'test',
      DATA_DIR: folder,
      DRAIN_JITTER: '0s',
      DRAIN_DEADLINE: '5s',
      SWEEP_INTERVAL: '500ms',
      SWEEP_AGE: '500ms',
      RATE_LIMIT_DEFAULT: UNLIMITED,
      RATE_LIMIT_AUTHENTICATED: UNLIMITED,
      RATE_LIMIT_PREMIUM: UNLIMITED,
      TRIP_REQUEST_LIMIT: UNLIMITED,
      ...store,
      ...settings,
    },
  });
  t.after(() => program.stop());
  return {
    ...clientsOf(t, program.address),
    program,
    folder,
    store,
    async log() {
      const text = await readFile(join(folder, `${name}.log`), 'utf8');
      const lines = text.split('\n').filter((line) => line.startsWith('{'));
      return lines.map((line) => JSON.parse(line));
    },
  };
}
