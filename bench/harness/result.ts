/** What a case hands to the report. Numbers stay numbers: the writer rounds them. */

export interface Table {
  title: string;
  /** The first column names the row. */
  columns: string[];
  rows: (string | number)[][];
}

export interface Series {
  name: string;
  points: [x: number, y: number][];
}

export interface Plot {
  /** Name of the SVG without its ending. */
  file: string;
  title: string;
  x: string;
  y: string;
  series: Series[];
  /** A horizontal line with a meaning. */
  limit?: { y: number; label: string };
}

/** A ratio of ours to a peer's in the same run, and what it is meant to be. */
export interface Claim {
  what: string;
  ratio: number;
  goal: string;
  met: boolean;
}

export interface CaseResult {
  title: string;
  /** Paragraphs: what was done, exactly. */
  method: string[];
  tables: Table[];
  plots: Plot[];
  claims: Claim[];
  /** Every figure of every round. */
  raw: unknown;
}

export const atLeast = (what: string, ratio: number, goal: number): Claim => ({
  what,
  ratio,
  goal: `≥ ${goal}`,
  met: ratio >= goal,
});

export const atMost = (what: string, ratio: number, goal: number): Claim => ({
  what,
  ratio,
  goal: `≤ ${goal}`,
  met: ratio <= goal,
});
