/** All pages are walked, in order, and none is read that nobody wants. */
import t from 'tap';
import { pagesOf } from '../../src/domain/pages.ts';
import type { Page } from '../../src/ports/store.ts';

function book(pages: number[][]) {
  const asked: (string | undefined)[] = [];
  const read = async ({ pageToken }: { pageToken?: string }): Promise<Page<number>> => {
    asked.push(pageToken);
    const number = Number(pageToken ?? 0);
    return { items: pages[number]!, ...(number + 1 < pages.length ? { nextPageToken: `${number + 1}` } : {}) };
  };
  return { asked, read };
}

t.test('page after page, to the last', async (t) => {
  const { asked, read } = book([[1, 2], [], [3]]);
  t.same(await Array.fromAsync(pagesOf(read)), [[1, 2], [], [3]]);
  t.same(asked, [undefined, '1', '2']);
});

t.test('whoever has enough reads no further', async (t) => {
  const { asked, read } = book([[1], [2], [3]]);
  for await (const [first] of pagesOf(read)) if (first === 2) break;
  t.same(asked, [undefined, '1']);
});

t.test('a page that cannot be read ends the walk', async (t) => {
  const broken = () => Promise.reject(new Error('away'));
  await t.rejects(Array.fromAsync(pagesOf(broken)), { message: 'away' });
});
