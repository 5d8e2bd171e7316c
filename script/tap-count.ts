/** Counts test points in TAP: leaves only, so that a test of ten assertions is ten and its file is none. */
import { type FinalResults, Parser, type Result } from 'tap-parser';

export interface TapTotals {
  passed: number;
  failed: number;
  /** Full names, with the reason where one is given. */
  skipped: string[];
}

export interface TapListener {
  onFailure?(point: Result): void;
  /** A test file has ended. */
  onFile?(point: Result): void;
  /** A test gave the whole run up. */
  onBailOut?(reason: string): void;
}

/** tap calls a file without a test skipped; to us it is a mistake. */
const NOTHING_IN_FILE = 'no tests found';

/** Write TAP into `parser`; `totals` resolves when it has ended. */
export function countTap(listener: TapListener = {}): { parser: Parser; totals: Promise<TapTotals> } {
  const totals: TapTotals = { passed: 0, failed: 0, skipped: [] };
  const { promise, resolve } = Promise.withResolvers<TapTotals>();
  const parser = new Parser((results: FinalResults) => {
    // A bail-out, a broken plan, TAP cut off in the middle: not ok without any point that says so.
    if (!results.ok && totals.failed === 0) totals.failed += 1;
    resolve(totals);
  });
  countInto(totals, parser, listener);
  if (listener.onFile) parser.on('assert', listener.onFile);
  if (listener.onBailOut) parser.on('bailout', listener.onBailOut);
  return { parser, totals: promise };
}

function countInto(totals: TapTotals, parser: Parser, listener: TapListener): void {
  /** What had failed before the subtest whose closing point comes next; undefined when none is open. */
  let failedBefore: number | undefined;
  const fail = (point: Result): void => {
    totals.failed += 1;
    listener.onFailure?.(point);
  };
  parser.on('child', (child: Parser) => {
    failedBefore = totals.failed;
    countInto(totals, child, listener);
  });
  parser.on('assert', (point: Result) => {
    const closesSubtest = failedBefore !== undefined;
    const explained = closesSubtest && totals.failed > failedBefore!;
    failedBefore = undefined;
    const skip = point.skip || point.todo;
    if (skip === NOTHING_IN_FILE) fail(point);
    else if (skip) totals.skipped.push(typeof skip === 'string' ? `${point.fullname} (${skip})` : point.fullname);
    else if (point.ok && !closesSubtest) totals.passed += 1;
    else if (!point.ok && !explained) fail(point);
  });
}
