/**
 * The store port's promises as one suite, run on every adapter. A case that an adapter's server cannot run is named in
 * `skips` with the reason, and is printed as skipped.
 */
import type { Test } from 'tap';
import { crashCases } from './store/crash.ts';
import { documentCases } from './store/documents.ts';
import { indexCases } from './store/indexes.ts';
import { modelCases } from './store/model.ts';
import { outboxCases } from './store/outbox.ts';
import { pageCases } from './store/pages.ts';
import type { Place } from './store/place.ts';
import { queryCases } from './store/queries.ts';
import { trackCases } from './store/tracks.ts';

/** `place` is empty, and only this case uses it. */
export type Case = (t: Test, place: Place) => Promise<void>;
export type Cases = Readonly<Record<string, Case>>;

export interface ConformanceOptions {
  /** Reason by name of the case. */
  skips?: Readonly<Record<string, string>>;
}

const ALL: Cases = {
  ...documentCases,
  ...indexCases,
  ...queryCases,
  ...pageCases,
  ...outboxCases,
  ...trackCases,
  ...modelCases,
  ...crashCases,
};

/** `makePlace` gives a place where nothing has been stored. */
export async function storeConformance(
  t: Test,
  name: string,
  makePlace: (t: Test) => Promise<Place>,
  { skips = {} }: ConformanceOptions = {},
): Promise<void> {
  const unknown = Object.keys(skips).filter((skipped) => !ALL[skipped]);
  if (unknown.length > 0) throw new Error(`no such case to skip: ${unknown.join(', ')}`);
  for (const [title, body] of Object.entries(ALL)) {
    const skip = skips[title];
    await t.test(`${name}: ${title}`, skip ? { skip } : {}, async (t) => body(t, await makePlace(t)));
  }
}
