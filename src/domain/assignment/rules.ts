/**
 * Who drives whom when many trips and many drivers are decided together: the cheapest assignment on sparse candidates, by
 * shortest augmenting paths with prices on the drivers, as in R. Jonker and A. Volgenant, "A Shortest Augmenting Path Algorithm
 * for Dense and Sparse Linear Assignment Problems", Computing 38 (1987). Each trip may also go without, at a cost of its own, so
 * that an answer always exists.
 *
 * Work is counted in candidates looked at, not in time: the same problem with the same allowance has the same answer on every
 * machine. A clock may end the work early; the count at which it did is part of the answer and replays it.
 */

/** Trips are rows; the candidates of row i stand at `start[i]` to `start[i + 1]`. */
export interface AssignmentProblem {
  rows: number;
  columns: number;
  /** rows + 1 entries, the first 0. */
  start: Int32Array;
  /** Driver of each candidate; no driver twice in a row. */
  column: Int32Array;
  /** Whole numbers, 0 or more, below 2^40: sums are exact. */
  cost: Float64Array;
  /** What each row costs without a column. */
  skip: Float64Array;
}

export interface AssignmentLimit {
  /** Candidates that may be looked at; what is left then is given out greedily. */
  maxSteps: number;
  /** Asked now and then; true ends the work as if `maxSteps` were reached. Left out when an answer is replayed. */
  expired?(): boolean;
}

export interface Assignment {
  /** Column of each row; -1 without one. */
  columnOfRow: Int32Array;
  cost: number;
  /** Candidates looked at; as `maxSteps` it gives this answer again. */
  steps: number;
  /** Rows that were given out greedily; 0: nobody can do it cheaper. */
  greedyRows: number;
}

const NONE = -1;
/** Steps between two looks at the clock. */
const STRIDE = 4096;

/** Binary heap of columns by distance, ties by column: equal problems are worked through in the same order. */
class Heap {
  private distances: Float64Array;
  private columns: Int32Array;
  private size = 0;

  constructor(capacity: number) {
    this.distances = new Float64Array(capacity);
    this.columns = new Int32Array(capacity);
  }

  clear(): void {
    this.size = 0;
  }

  private isBefore(a: number, b: number): boolean {
    const d = this.distances[a]! - this.distances[b]!;
    return d < 0 || (d === 0 && this.columns[a]! < this.columns[b]!);
  }

  private swap(a: number, b: number): void {
    const d = this.distances[a]!;
    this.distances[a] = this.distances[b]!;
    this.distances[b] = d;
    const c = this.columns[a]!;
    this.columns[a] = this.columns[b]!;
    this.columns[b] = c;
  }

  private grow(): void {
    const distances = new Float64Array(2 * this.distances.length);
    distances.set(this.distances);
    this.distances = distances;
    const columns = new Int32Array(2 * this.columns.length);
    columns.set(this.columns);
    this.columns = columns;
  }

  push(distance: number, column: number): void {
    if (this.size === this.columns.length) this.grow();
    let at = this.size++;
    this.distances[at] = distance;
    this.columns[at] = column;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.isBefore(at, parent)) break;
      this.swap(at, parent);
      at = parent;
    }
  }

  /** The nearest column; -1 when there is none. */
  pop(): number {
    if (this.size === 0) return NONE;
    const column = this.columns[0]!;
    const last = --this.size;
    this.distances[0] = this.distances[last]!;
    this.columns[0] = this.columns[last]!;
    for (let at = 0; ; ) {
      let child = 2 * at + 1;
      if (child >= last) break;
      if (child + 1 < last && this.isBefore(child + 1, child)) child++;
      if (!this.isBefore(child, at)) break;
      this.swap(at, child);
      at = child;
    }
    return column;
  }
}

class Solver {
  readonly columnOfRow: Int32Array;
  private readonly rowOfColumn: Int32Array;
  /** Cost of the candidate that each row has. */
  private readonly paid: Float64Array;
  /** Prices of drivers, 0 or less; a driver nobody has costs 0. */
  private readonly price: Float64Array;
  private readonly distance: Float64Array;
  /** The row from which a column is reached, and what its candidate costs. */
  private readonly via: Int32Array;
  private readonly viaCost: Float64Array;
  /** Round in which a column was last reached, and last settled. */
  private readonly reached: Int32Array;
  private readonly settled: Int32Array;
  private readonly order: Int32Array;
  private readonly heap: Heap;
  private readonly problem: AssignmentProblem;
  private readonly limit: AssignmentLimit;
  private nextLook = STRIDE;
  steps = 0;

  constructor(problem: AssignmentProblem, limit: AssignmentLimit) {
    const { rows, columns } = problem;
    this.problem = problem;
    this.limit = limit;
    this.columnOfRow = new Int32Array(rows).fill(NONE);
    // Each row has a column of its own behind the drivers: going without.
    const all = columns + rows;
    this.rowOfColumn = new Int32Array(all).fill(NONE);
    this.paid = new Float64Array(rows);
    this.price = new Float64Array(all);
    this.distance = new Float64Array(all);
    this.via = new Int32Array(all);
    this.viaCost = new Float64Array(all);
    this.reached = new Int32Array(all).fill(NONE);
    this.settled = new Int32Array(all).fill(NONE);
    this.order = new Int32Array(all);
    this.heap = new Heap(1024);
  }

  private isSpent(more: number): boolean {
    // What costs nothing is not cut off, or the count of steps would not say where.
    if (more === 0) return false;
    if (this.steps + more > this.limit.maxSteps) return true;
    if (!this.limit.expired || this.steps < this.nextLook) return false;
    this.nextLook = this.steps + STRIDE;
    return this.limit.expired();
  }

  private take(row: number, column: number, cost: number): void {
    this.columnOfRow[row] = column;
    this.rowOfColumn[column] = row;
    this.paid[row] = cost;
  }

  /** Everyone takes his cheapest candidate if nobody has it yet. False when the allowance is spent. */
  private first(waiting: number[]): boolean {
    const { rows, columns, start, column, cost, skip } = this.problem;
    for (let row = 0; row < rows; row++) {
      const end = start[row + 1]!;
      if (this.isSpent(end - start[row]!)) return false;
      let best = columns + row;
      let least = skip[row]!;
      for (let at = start[row]!; at < end; at++) {
        if (cost[at]! < least) {
          least = cost[at]!;
          best = column[at]!;
        }
      }
      this.steps += end - start[row]!;
      if (this.rowOfColumn[best] === NONE) this.take(row, best, least);
      else waiting.push(row);
    }
    return true;
  }

  private reach(column: number, distance: number, row: number, cost: number, round: number): void {
    if (this.settled[column] === round) return;
    if (this.reached[column] === round && this.distance[column]! <= distance) return;
    this.reached[column] = round;
    this.distance[column] = distance;
    this.via[column] = row;
    this.viaCost[column] = cost;
    this.heap.push(distance, column);
  }

  /** Finds the cheapest chain of changes that gives `row` a column. False when the allowance is spent; nothing is changed then. */
  private augment(row: number): boolean {
    const { columns, start, column, cost, skip } = this.problem;
    this.heap.clear();
    let settled = 0;
    let bound = Number.POSITIVE_INFINITY;
    // `base` is the distance to the row that is scanned, less what it pays now.
    for (let from = row, base = 0; ; ) {
      const end = start[from + 1]!;
      if (this.isSpent(end - start[from]!)) return false;
      // Where drivers are scarce their prices have risen so far that going without ends the search at once.
      const without = columns + from;
      const alone = base + skip[from]! - this.price[without]!;
      this.reach(without, alone, from, skip[from]!, row);
      bound = Math.min(bound, alone);
      for (let at = start[from]!; at < end; at++) {
        const to = column[at]!;
        const distance = base + cost[at]! - this.price[to]!;
        if (distance >= bound) continue;
        if (this.rowOfColumn[to] === NONE) bound = distance;
        this.reach(to, distance, from, cost[at]!, row);
      }
      this.steps += end - start[from]!;
      let to = this.heap.pop();
      // A column may lie in the heap several times; the nearest came out first.
      while (this.settled[to] === row) to = this.heap.pop();
      const owner = this.rowOfColumn[to]!;
      if (owner === NONE) {
        this.reprice(settled, this.distance[to]!);
        this.flip(row, to);
        return true;
      }
      this.settled[to] = row;
      this.order[settled++] = to;
      from = owner;
      base = this.distance[to]! - (this.paid[owner]! - this.price[to]!);
    }
  }

  private reprice(settled: number, length: number): void {
    for (let i = 0; i < settled; i++) {
      const column = this.order[i]!;
      this.price[column] = this.price[column]! + this.distance[column]! - length;
    }
  }

  private flip(row: number, end: number): void {
    for (let column = end; ; ) {
      const owner = this.via[column]!;
      const before = this.columnOfRow[owner]!;
      this.take(owner, column, this.viaCost[column]!);
      if (owner === row) return;
      column = before;
    }
  }

  /** Rows that the allowance did not reach: cheapest candidates first, ties by row and driver. */
  private greedy(): number {
    const { rows, columns, start, column, cost, skip } = this.problem;
    const left: { row: number; column: number; cost: number }[] = [];
    let greedyRows = 0;
    for (let row = 0; row < rows; row++) {
      if (this.columnOfRow[row] !== NONE) continue;
      greedyRows++;
      for (let at = start[row]!; at < start[row + 1]!; at++) {
        if (cost[at]! < skip[row]!) left.push({ row, column: column[at]!, cost: cost[at]! });
      }
    }
    left.sort((a, b) => a.cost - b.cost || a.row - b.row || a.column - b.column);
    for (const one of left) {
      if (this.columnOfRow[one.row] !== NONE || this.rowOfColumn[one.column] !== NONE) continue;
      this.take(one.row, one.column, one.cost);
    }
    for (let row = 0; row < rows; row++) {
      if (this.columnOfRow[row] === NONE) this.take(row, columns + row, skip[row]!);
    }
    return greedyRows;
  }

  run(): Assignment {
    const waiting: number[] = [];
    let isWithin = this.first(waiting);
    for (let i = 0; isWithin && i < waiting.length; i++) isWithin = this.augment(waiting[i]!);
    const greedyRows = this.greedy();
    const { columns } = this.problem;
    let cost = 0;
    for (const paid of this.paid) cost += paid;
    const columnOfRow = this.columnOfRow.map((column) => (column >= columns ? NONE : column));
    return { columnOfRow, cost, steps: this.steps, greedyRows };
  }
}

/**
 * The cheapest assignment in which no driver has two trips and no trip two drivers. When the limit is reached, those decided so far
 * are the cheapest among themselves and the others take what is free, cheapest first.
 */
export function assign(problem: AssignmentProblem, limit: AssignmentLimit): Assignment {
  return new Solver(problem, limit).run();
}
