/**
 * Calls between the bench and its children (load generators and peers): each child serves a few functions, the bench calls
 * them by message and waits, never for longer than a limit.
 */
import { fileURLToPath } from 'node:url';
import { type Program, start } from './programs.ts';

/** What a child serves. */
export type Handlers = Record<string, (args: never) => unknown>;

interface Call {
  id: number;
  name: string;
  args: unknown;
}

interface Answer {
  id: number;
  result?: unknown;
  error?: string;
}

export interface Remote<H extends Handlers> extends Program {
  /** Rejects with the child's error, or after `limitMs`. */
  call<K extends keyof H & string>(
    name: K,
    args: Parameters<H[K]>[0],
    limitMs?: number,
  ): Promise<Awaited<ReturnType<H[K]>>>;
}

const READY = 'bench child ready';
const CALL_LIMIT_MS = 60_000;

/** In the child: serves the functions until the parent goes. */
export function serve(handlers: Handlers): void {
  process.on('message', (call: Call) => {
    void answer(handlers, call).then((message) => {
      if (process.connected) process.send!(message);
    });
  });
  process.on('disconnect', () => process.exit());
  process.on('SIGTERM', () => process.exit());
  // A Ctrl-C in the terminal reaches the children too; the parent ends them.
  process.on('SIGINT', () => {});
  process.stdout.write(`${READY}\n`);
}

async function answer(handlers: Handlers, { id, name, args }: Call): Promise<Answer> {
  try {
    return { id, result: await handlers[name]!(args as never) };
  } catch (error) {
    return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

export interface RemoteOptions {
  name: string;
  /** The child's file, relative to the folder bench. */
  file: string;
  folder: string;
  env?: NodeJS.ProcessEnv;
}

/** In the bench: starts a child. */
export async function startRemote<H extends Handlers>(options: RemoteOptions): Promise<Remote<H>> {
  const file = fileURLToPath(new URL(`../${options.file}`, import.meta.url));
  const { program, child } = await start({
    name: options.name,
    command: process.execPath,
    args: [file],
    env: { ...process.env, ...options.env },
    folder: options.folder,
    ready: (line) => line === READY,
    ipc: true,
  });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let calls = 0;
  child.on('message', ({ id, result, error }: Answer) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(`${options.name}: ${error}`));
  });
  let ended: string | undefined;
  child.once('exit', (code, signal) => {
    ended = `${options.name} ended (${signal ?? code})`;
    for (const call of waiting.values()) call.reject(new Error(ended));
  });
  return {
    ...program,
    async call(name, args, limitMs = CALL_LIMIT_MS) {
      if (ended !== undefined) throw new Error(ended);
      const id = ++calls;
      const reply = Promise.withResolvers<unknown>();
      waiting.set(id, reply);
      const timer = setTimeout(
        () => reply.reject(new Error(`${options.name}: ${name} took more than ${limitMs} ms`)),
        limitMs,
      );
      child.send({ id, name, args } satisfies Call);
      try {
        return (await reply.promise) as never;
      } finally {
        clearTimeout(timer);
        waiting.delete(id);
      }
    },
  };
}

/** A generator is started once a ground and used again: `stop` only makes it let go of its connections. */
export async function startGenerator<H extends Handlers & { close: (args: undefined) => void }>(
  ground: { folder: string; generators: Map<string, Promise<Remote<Handlers>>> },
  name: string,
  file: string,
): Promise<Remote<H>> {
  const key = `${file} ${name}`;
  let started = ground.generators.get(key) as Promise<Remote<H>> | undefined;
  if (!started) {
    started = startRemote<H>({ name, file, folder: ground.folder });
    ground.generators.set(key, started as unknown as Promise<Remote<Handlers>>);
  }
  const generator = await started;
  return {
    ...generator,
    async stop() {
      await generator.call('close', undefined as Parameters<H['close']>[0]);
    },
  };
}
