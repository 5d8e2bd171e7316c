/** Goes through what is taken some at a time, for those who want all of it. */
import type { Page } from '../ports/store.ts';

/** Page after page of one query, each read when the one before was seen to. @param read asks for the page of a token, or for the first */
export async function* pagesOf<T>(read: (token: { pageToken?: string }) => Promise<Page<T>>): AsyncGenerator<T[]> {
  let token: { pageToken?: string } = {};
  for (;;) {
    const { items, nextPageToken } = await read(token);
    yield items;
    if (nextPageToken === undefined) return;
    token = { pageToken: nextPageToken };
  }
}

/**
 * The same in stretches: each call yields at most `most` pages, and the next goes on behind them, so that a list that grows makes no call
 * longer. A walk keeps the question that it began with, e.g. an instant, to its end; after a page that cannot be read another begins.
 */
export function stretchesOf<Q, T>(
  most: number,
  read: (question: Q, token: { pageToken?: string }) => Promise<Page<T>>,
): (question: Q) => AsyncGenerator<T[]> {
  let place: { question: Q; token: { pageToken?: string } } | null = null;
  return async function* (asked) {
    const { question, token: begin } = place ?? { question: asked, token: {} };
    place = null;
    let token: { pageToken?: string } = begin;
    for (let page = 0; page < most; page++) {
      const { items, nextPageToken } = await read(question, token);
      yield items;
      if (nextPageToken === undefined) return;
      token = { pageToken: nextPageToken };
    }
    place = { question, token };
  };
}

/** Reads for one page; a page that is not full then has a token all the same. */
const READS_MAX = 8;

/**
 * A page of those that `keep` says yes to, of what is read some at a time: for conditions that the store cannot judge.
 * @param read asks for so many, from the token on
 */
export async function fullPage<T>(
  { pageSize, pageToken }: { pageSize: number; pageToken?: string },
  keep: (item: T) => boolean,
  read: (part: { pageSize: number; pageToken?: string }) => Promise<Page<T>>,
): Promise<Page<T>> {
  const items: T[] = [];
  let token = pageToken;
  for (let reads = 0; reads < READS_MAX; reads++) {
    const size = pageSize - items.length;
    const page = await read({ pageSize: size, ...(token === undefined ? {} : { pageToken: token }) });
    items.push(...page.items.filter(keep));
    token = page.nextPageToken;
    if (token === undefined || items.length >= pageSize) break;
  }
  return { items, ...(token === undefined ? {} : { nextPageToken: token }) };
}

/** Documents that one statement removes. */
const REMOVED_AT_ONCE = 1000;

/** Removes all there is, some at a time, so that no statement holds the others up for long. Resolves how many. @param remove some, at most `limit` */
export async function removeAll(remove: (limit: number) => Promise<number>, limit = REMOVED_AT_ONCE): Promise<number> {
  for (let all = 0; ; ) {
    const some = await remove(limit);
    all += some;
    if (some < limit) return all;
  }
}
