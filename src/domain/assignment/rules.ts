/**
 * Who drives whom when many trips and many drivers are decided together: the cheapest assignment on sparse candidates, by
 * shortest augmenting paths with prices on the drivers, as in R. Jonker and A. Volgenant, "A Shortest Augmenting Path Algorithm
 * for Dense and Sparse Linear Assignment Problems", Computing 38 (1987). Each trip may also go without, at a cost of its own, so
 * that an answer always exists.
 *
 * Work is counted in candidates of the rows looked at, also those that are passed over, not in time: the same problem with the same
 * allowance has the same answer on every machine. A clock may end the work early; the count at which it did is part of the answer and replays it.
 */
import { NearestFirst } from '../nearest-first.ts';

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
/** Candidates whose length is more than so many times the bound are put away. */
const FAR = 17 / 16;
/** Steps between two looks at the clock. */
const STRIDE = 4096;

class Solver {
  readonly columnOfRow: Int32Array;
  private readonly rowOfColumn: Int32Array;
  /** Cost of the candidate that each row has. */
  private readonly paid: Float64Array;
  /** Prices of drivers, 0 or less; a driver nobody has costs 0. */
  private readonly price: Float64Array;
  /** How far a column is from the row that looks for one; infinite until it is reached. */
  private readonly distance: Float64Array;
  /** The row from which a column is reached, and what its candidate costs. */
  private readonly via: Int32Array;
  private readonly viaCost: Float64Array;
  /** The columns that were reached, and those whose distance is final, in the order in which it became so. */
  private readonly reached: Int32Array;
  private readonly settled: Int32Array;
  /**
   * The candidates of the problem, where those of each row that are of use at present stand before `far`; the cost less the price of
   * those behind was `farCost` or more when they were put there. Prices only fall, so it still is.
   */
  private readonly column: Int32Array;
  private readonly cost: Float64Array;
  private readonly far: Int32Array;
  private readonly farCost: Float64Array;
  private readonly heap: NearestFirst;
  private readonly problem: AssignmentProblem;
  private readonly limit: AssignmentLimit;
  private reachedCount = 0;
  /** Length of the shortest way to a free column so far; nothing farther is of interest. */
  private bound = 0;
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
    this.distance = new Float64Array(all).fill(Number.POSITIVE_INFINITY);
    this.via = new Int32Array(all);
    this.viaCost = new Float64Array(all);
    this.reached = new Int32Array(columns);
    this.settled = new Int32Array(all);
    this.column = problem.column.slice();
    this.cost = problem.cost.slice();
    this.far = problem.start.slice(1);
    this.farCost = new Float64Array(rows).fill(Number.POSITIVE_INFINITY);
    this.heap = new NearestFirst(1024);
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

  /** Finds the cheapest chain of changes that gives `row` a column. False when the allowance is spent; nothing is changed then. */
  private augment(row: number): boolean {
    const { start } = this.problem;
    const { distance, heap } = this;
    this.forget();
    let settled = 0;
    // `base` is the distance to the row that is scanned, less what it pays now.
    for (let from = row, base = 0; ; ) {
      const candidates = start[from + 1]! - start[from]!;
      if (this.isSpent(candidates)) return false;
      this.scan(from, base);
      this.steps += candidates;
      let to = heap.pop();
      // A column may have been reached several times; the nearest came out first.
      while (heap.distance > distance[to]!) to = heap.pop();
      const owner = this.rowOfColumn[to]!;
      if (owner === NONE) {
        this.reprice(settled, distance[to]!);
        this.flip(row, to);
        return true;
      }
      this.settled[settled++] = to;
      from = owner;
      base = distance[to]! - (this.paid[owner]! - this.price[to]!);
    }
  }

  /** Before a search: no column is reached. */
  private forget(): void {
    for (let i = 0; i < this.reachedCount; i++) this.distance[this.reached[i]!] = Number.POSITIVE_INFINITY;
    this.reachedCount = 0;
    this.heap.clear();
    this.bound = Number.POSITIVE_INFINITY;
  }

  /** Looks at the candidates of a row: at those that were of no use, only if they may be by now. */
  private scan(row: number, base: number): void {
    const end = this.problem.start[row + 1]!;
    this.reachNone(row, base);
    const before = this.bound;
    let from = this.problem.start[row]!;
    for (;;) {
      this.scanNear(row, from, base, before);
      from = this.far[row]!;
      const least = base + this.farCost[row]!;
      if (from === end || least > this.bound || (least === this.bound && this.bound === before)) return;
      this.far[row] = end;
      this.farCost[row] = Number.POSITIVE_INFINITY;
    }
  }

  /**
   * Reaches what the candidates bring nearer, and puts those away that are farther by a share than anything of interest. This is where
   * the time goes. In whatever order they stand the result is the same: what is as far as the bound counts if the bound is of this row.
   */
  private scanNear(row: number, from: number, base: number, before: number): void {
    const { column, cost, distance, price, rowOfColumn, via, viaCost, reached, heap } = this;
    let { bound, reachedCount } = this;
    let end = this.far[row]!;
    let farCost = this.farCost[row]!;
    for (let at = from; at < end; ) {
      const to = column[at]!;
      const own = cost[at]!;
      const length = base + own - price[to]!;
      if (length > FAR * bound) {
        column[at] = column[--end]!;
        cost[at] = cost[end]!;
        column[end] = to;
        cost[end] = own;
        farCost = Math.min(farCost, own - price[to]!);
        continue;
      }
      at++;
      if (length >= distance[to]! || length > bound || (length === bound && bound === before)) continue;
      if (rowOfColumn[to] === NONE) bound = length;
      if (distance[to] === Number.POSITIVE_INFINITY) reached[reachedCount++] = to;
      distance[to] = length;
      via[to] = row;
      viaCost[to] = own;
      heap.push(length, to);
    }
    this.far[row] = end;
    this.farCost[row] = farCost;
    this.bound = bound;
    this.reachedCount = reachedCount;
  }

  /** Where drivers are scarce their prices have risen so far that going without ends the search at once. */
  private reachNone(row: number, base: number): void {
    const skip = this.problem.skip[row]!;
    const without = this.problem.columns + row;
    const length = base + skip - this.price[without]!;
    this.distance[without] = length;
    this.via[without] = row;
    this.viaCost[without] = skip;
    this.heap.push(length, without);
    this.bound = Math.min(this.bound, length);
  }

  private reprice(settled: number, length: number): void {
    for (let i = 0; i < settled; i++) {
      const column = this.settled[i]!;
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
