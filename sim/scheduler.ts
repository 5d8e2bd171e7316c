/**
 * One timer for a whole process of simulated people: a heap of due times and a single setTimeout for the nearest. Thousands
 * of drivers, heartbeats and retries cost one live timer.
 */

export interface Task {
  readonly dueMs: number;
  cancelled: boolean;
  readonly run: () => void;
}

/** Node's timers are no finer; tasks due within this time run together. */
const GRAIN_MS = 1;
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export class Scheduler {
  private readonly heap: Task[] = [];
  private timer: NodeJS.Timeout | undefined;
  private timerDueMs = Number.POSITIVE_INFINITY;
  private stopped = false;
  private readonly now: () => number;
  /** The longest that a task ran after it was due since the last look, milliseconds: how far the process is behind. */
  worstDelayMs = 0;

  constructor(now: () => number = Date.now) {
    this.now = now;
  }

  /** Runs `run` at a wall time (epoch milliseconds), or at once, but never within this call. */
  at(dueMs: number, run: () => void): Task {
    const task: Task = { dueMs, cancelled: false, run };
    this.push(task);
    this.arm();
    return task;
  }

  after(delayMs: number, run: () => void): Task {
    return this.at(this.now() + delayMs, run);
  }

  /** Forgets all tasks and takes no more; the process may end. */
  stop(): void {
    this.stopped = true;
    this.heap.length = 0;
    clearTimeout(this.timer);
  }

  private arm(): void {
    const next = this.heap[0];
    if (this.stopped || !next || next.dueMs >= this.timerDueMs) return;
    clearTimeout(this.timer);
    this.timerDueMs = next.dueMs;
    const delayMs = Math.min(MAX_TIMEOUT_MS, Math.max(0, next.dueMs - this.now()));
    this.timer = setTimeout(() => this.runDue(), delayMs);
  }

  private runDue(): void {
    this.timerDueMs = Number.POSITIVE_INFINITY;
    const now = this.now();
    const until = now + GRAIN_MS;
    while (this.heap[0] && this.heap[0].dueMs <= until) {
      const task = this.pop();
      if (task.cancelled) continue;
      this.worstDelayMs = Math.max(this.worstDelayMs, now - task.dueMs);
      task.run();
    }
    this.arm();
  }

  private push(task: Task): void {
    const { heap } = this;
    let i = heap.length;
    heap.push(task);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]!.dueMs <= task.dueMs) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = task;
  }

  private pop(): Task {
    const { heap } = this;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.dueMs < heap[child]!.dueMs) child += 1;
      if (heap[child]!.dueMs >= last.dueMs) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}
