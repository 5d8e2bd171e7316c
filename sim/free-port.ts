/**
 * A port for a program that is started next. It lies below the ports that the system gives outgoing connections, one of which could
 * take it before the program listens.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';

const FIRST_PORT = 20_000;
const LAST_PORT = 31_999;
const ATTEMPTS = 100;

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listening = Promise.withResolvers<boolean>();
  server.once('error', () => listening.resolve(false));
  server.listen(port, '127.0.0.1', () => listening.resolve(true));
  if (!(await listening.promise)) return false;
  server.close();
  await once(server, 'close');
  return true;
}

/** `wanted` when nothing listens there, else any that nothing listened on a moment ago. */
export async function freePort(wanted = 0): Promise<number> {
  if (wanted !== 0 && (await isFree(wanted))) return wanted;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1));
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port between ${FIRST_PORT} and ${LAST_PORT}`);
}
