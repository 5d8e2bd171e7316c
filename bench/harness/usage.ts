/** What a process used: CPU seconds and resident memory, as the kernel counts them. Linux only, as the figures are. */
import { readFileSync } from 'node:fs';

/** USER_HZ is 100 on every Linux that Node runs on. */
const TICKS_PER_S = 100;
const UTIME = 14 - 3;
const STIME = 15 - 3;

/** User and system time of all threads, seconds; proc(5), /proc/PID/stat fields 14 and 15. */
export function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The second field is a name in parentheses that may hold anything; fields are counted from behind it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[UTIME]) + Number(fields[STIME])) / TICKS_PER_S;
}

/** The processes that a process has started and that still run; proc(5), /proc/PID/task/TID/children. */
export const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').filter(Boolean).map(Number);

/** Makes a server that was started with `measured` (ride.ts) let go of its garbage; it is done a moment later. */
export function collectGarbage(pid: number): void {
  process.kill(pid, 'SIGUSR2');
}

/** VmRSS, bytes. */
export function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  if (!match) throw new Error(`no VmRSS of process ${pid}`);
  return Number(match[1]) * 1024;
}

/** Open files that a process may have; the least of this and a wish is what can be measured. */
export function fileLimit(): number {
  const match = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
  return match ? Number(match[1]) : 1024;
}

/** CPU use between two moments. */
export class CpuMeter {
  readonly #pids: readonly number[];
  #startedAt = 0;
  #before: number[] = [];

  constructor(...pids: readonly number[]) {
    this.#pids = pids;
  }

  start(): void {
    this.#before = this.#pids.map(cpuSeconds);
    this.#startedAt = performance.now();
  }

  /** CPU seconds per second of each process since `start`; 1 is one core. */
  shares(): number[] {
    const elapsedS = (performance.now() - this.#startedAt) / 1000;
    return this.#pids.map((pid, i) => (cpuSeconds(pid) - this.#before[i]!) / elapsedS);
  }
}
