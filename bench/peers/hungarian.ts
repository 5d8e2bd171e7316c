/**
 * The cheapest assignment by the textbook: Kuhn's method with potentials over the whole matrix, every row against every column. It
 * knows nothing of sparse candidates, so that its answer can be held against that of a solver that does.
 */

/** @returns column of each row; -1 for one that costs nothing less by having any. `cost` of a pair that cannot be is infinite. */
export function hungarian(cost: readonly Float64Array[], skip: Float64Array): Int32Array {
  const rows = cost.length;
  const real = cost[0]?.length ?? 0;
  // Behind the real columns each row has one of its own, for going without.
  const columns = real + rows;
  const at = (row: number, column: number): number =>
    column < real ? cost[row]![column]! : column - real === row ? skip[row]! : Number.POSITIVE_INFINITY;
  const rowPrice = new Float64Array(rows);
  const columnPrice = new Float64Array(columns + 1);
  /** Row of each column; the last column stands for the row that is being placed. */
  const owner = new Int32Array(columns + 1).fill(-1);
  const before = new Int32Array(columns + 1);
  for (let row = 0; row < rows; row++) {
    owner[columns] = row;
    const slack = new Float64Array(columns + 1).fill(Number.POSITIVE_INFINITY);
    const used = new Uint8Array(columns + 1);
    let here = columns;
    while (owner[here] !== -1) {
      used[here] = 1;
      const from = owner[here]!;
      let least = Number.POSITIVE_INFINITY;
      let next = -1;
      for (let column = 0; column < columns; column++) {
        if (used[column]) continue;
        const reduced = at(from, column) - rowPrice[from]! - columnPrice[column]!;
        if (reduced < slack[column]!) {
          slack[column] = reduced;
          before[column] = here;
        }
        if (slack[column]! < least) {
          least = slack[column]!;
          next = column;
        }
      }
      for (let column = 0; column <= columns; column++) {
        if (used[column]) {
          rowPrice[owner[column]!] = rowPrice[owner[column]!]! + least;
          columnPrice[column] = columnPrice[column]! - least;
        } else {
          slack[column] = slack[column]! - least;
        }
      }
      here = next;
    }
    while (here !== columns) {
      owner[here] = owner[before[here]!]!;
      here = before[here]!;
    }
  }
  const columnOfRow = new Int32Array(rows).fill(-1);
  for (let column = 0; column < real; column++) if (owner[column]! >= 0) columnOfRow[owner[column]!] = column;
  return columnOfRow;
}
