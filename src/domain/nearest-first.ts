/**
 * Columns by their distance, nearest first: a binary heap whose distances and columns stand in two plain arrays, for a window asks it
 * some million times. Equally far ones come by column, so that equal problems are worked through in the same order.
 */
const NONE = -1;

export class NearestFirst {
  private distances: Float64Array;
  private columns: Int32Array;
  private size = 0;
  /** Of the column that was taken last. */
  distance = 0;

  constructor(capacity: number) {
    this.distances = new Float64Array(capacity);
    this.columns = new Int32Array(capacity);
  }

  clear(): void {
    this.size = 0;
  }

  private grow(): void {
    const { distances, columns } = this;
    this.distances = new Float64Array(2 * distances.length);
    this.distances.set(distances);
    this.columns = new Int32Array(2 * columns.length);
    this.columns.set(columns);
  }

  /** A column may be put in again when it turns out to be nearer; the earlier one then comes out later. */
  push(distance: number, column: number): void {
    if (this.size === this.columns.length) this.grow();
    const { distances, columns } = this;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const other = distances[parent]!;
      if (other < distance || (other === distance && columns[parent]! < column)) break;
      distances[at] = other;
      columns[at] = columns[parent]!;
      at = parent;
    }
    distances[at] = distance;
    columns[at] = column;
  }

  /** The nearest column; -1 when there is none. */
  pop(): number {
    if (this.size === 0) return NONE;
    const { distances, columns } = this;
    const nearest = columns[0]!;
    this.distance = distances[0]!;
    const last = --this.size;
    const distance = distances[last]!;
    const column = columns[last]!;
    let at = 0;
    for (let child = 1; child < last; child = 2 * at + 1) {
      const right = child + 1;
      if (
        right < last &&
        (distances[right]! < distances[child]! ||
          (distances[right] === distances[child] && columns[right]! < columns[child]!))
      )
        child = right;
      const other = distances[child]!;
      if (distance < other || (distance === other && column < columns[child]!)) break;
      distances[at] = other;
      columns[at] = columns[child]!;
      at = child;
    }
    distances[at] = distance;
    columns[at] = column;
    return nearest;
  }
}
