/**
 * One run of redis-server that ends when this process ends, however that ends.
 *
 * Between the two stands a shell that holds the other end of a pipe. When this process is gone, by exit, crash or kill -9,
 * the kernel closes the pipe, the shell reads end-of-file and stops Redis. The pair runs in a session of its own, so that
 * Ctrl-C reaches this process only, which still needs Redis while it drains.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

/**
 * $1 program, $2 configuration. Prints Redis's process id first. The subshell waits for end-of-file on the pipe and then ends
 * Redis, at last by force; the shell itself ends with Redis and passes its exit status on.
 */
const WATCHDOG = `
exec 3<&0
"$1" "$2" </dev/null 3<&- &
redis=$!
echo "pid $redis"
(
  while read -r _; do :; done <&3
  kill -TERM "$redis"
  for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 1; kill -0 "$redis" || exit 0; done
  kill -KILL "$redis"
) >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait "$redis"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
`;

const KEPT_LINES = 20;

export class WatchedProcess {
  /** Settles when Redis is gone and all it said was heard. */
  readonly exited: Promise<void>;
  readonly #shell: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #onLine: (line: string) => void;
  #lines: string[] = [];
  #pid = 0;
  #alive = true;

  constructor(binary: string, configFile: string, onLine: (line: string) => void) {
    this.#onLine = onLine;
    this.#shell = spawn('/bin/sh', ['-c', WATCHDOG, 'ridestream-redis', binary, configFile], {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const { stdin, stdout, stderr } = this.#shell;
    // The pipe is there to be closed; that Redis died before us shows by the exit, not by a write error.
    stdin.on('error', () => {});
    stdout.setEncoding('utf8').on('data', (text: string) => this.#hear(text));
    stderr.setEncoding('utf8').on('data', (text: string) => this.#hear(text));
    this.exited = new Promise((done) => {
      this.#shell.once('error', (error) => this.#end(error.message, done));
      this.#shell.once('close', (code, signal) => this.#end(`exit status ${code ?? signal}`, done));
    });
    // Redis must not keep a process running that has nothing else to do.
    this.#hold(false);
  }

  /** Whether it keeps this process running. Pipes can be unref'd, though their type does not say so. */
  #hold(isHeld: boolean): void {
    const { stdin, stdout, stderr } = this.#shell;
    const handles = [this.#shell, stdin, stdout, stderr] as unknown as { ref(): void; unref(): void }[];
    for (const handle of handles) isHeld ? handle.ref() : handle.unref();
  }

  /** Process id of redis-server; 0 until it is known, a moment after the start. */
  get pid(): number {
    return this.#pid;
  }

  get alive(): boolean {
    return this.#alive;
  }

  says(pattern: RegExp): boolean {
    return this.#lines.some((line) => pattern.test(line));
  }

  /** The line that tells most about its end. */
  lastWords(): string {
    const complaint = this.#lines.findLast(
      (line) => /error|fail|fatal|can't|cannot/i.test(line) && !/warning/i.test(line),
    );
    return complaint ?? this.#lines.at(-1) ?? 'it said nothing';
  }

  /** Closes the pipe, which is how the watchdog learns that Redis is to end, and waits for that. */
  async close(): Promise<void> {
    // Its pipes too: what they still bring comes before `exited`, and a process that waits for it with nothing else to do would end.
    this.#hold(true);
    this.#shell.stdin.end();
    await this.exited;
  }

  #hear(text: string): void {
    for (const raw of text.split('\n')) {
      const line = raw.trim();
      const pid = /^pid (\d+)$/.exec(line);
      if (pid) this.#pid = Number(pid[1]);
      else if (line !== '') this.#keep(line);
    }
  }

  #keep(line: string): void {
    this.#lines.push(line);
    this.#lines.splice(0, this.#lines.length - KEPT_LINES);
    this.#onLine(line);
  }

  #end(line: string, done: () => void): void {
    this.#keep(line);
    this.#alive = false;
    done();
  }
}
