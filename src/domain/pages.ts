/** Walks what comes in pages, for those who want all of it. */
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
