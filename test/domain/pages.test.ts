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

async function all(read: ReturnType<typeof book>['read']): Promise<number[][]> {
  const walked: number[][] = [];
  for await (const page of pagesOf(read)) walked.push(page);
  return walked;
}

t.test('page after page, to the last', async (t) => {
  const { asked, read } = book([[1, 2], [], [3]]);
  t.same(await all(read), [[1, 2], [], [3]]);
  t.same(asked, [undefined, '1', '2']);
});

t.test('whoever has enough reads no further', async (t) => {
  const { asked, read } = book([[1], [2], [3]]);
  for await (const [first] of pagesOf(read)) if (first === 2) break;
  t.same(asked, [undefined, '1']);
});

t.test('a page that cannot be read ends the walk', async (t) => {
  const { read } = book([[1], [2]]);
  const walk = all(({ pageToken }) => (pageToken ? Promise.reject(new Error('away')) : read({})));
  await t.rejects(walk, { message: 'away' });
});
