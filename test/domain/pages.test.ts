/** All pages are walked, in order, at once or stretch by stretch, and none is read that nobody wants. */
import t from 'tap';
import { fullPage, pagesOf, removeAll, stretchesOf } from '../../src/domain/pages.ts';
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

t.test('a page of what is kept: read on until it is full, or for so long', async (t) => {
  const numbers = Array.from({ length: 100 }, (_, i) => i);
  const sizes: number[] = [];
  const read = async ({ pageSize, pageToken = '0' }: { pageSize: number; pageToken?: string }) => {
    sizes.push(pageSize);
    const end = Number(pageToken) + pageSize;
    return { items: numbers.slice(Number(pageToken), end), ...(end < 100 ? { nextPageToken: `${end}` } : {}) };
  };
  const even = await fullPage({ pageSize: 4 }, (n) => n % 2 === 0, read);
  t.same(even, { items: [0, 2, 4, 6], nextPageToken: '7' });
  t.same(sizes, [4, 2, 1], 'no more than are missing');
  t.same(await fullPage({ pageSize: 4, pageToken: '97' }, (n) => n > 97, read), { items: [98, 99] });
  t.same(await fullPage({ pageSize: 2 }, () => false, read), { items: [], nextPageToken: '16' }, 'eight reads');
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

t.test('stretch by stretch: each goes on behind the one before, with the question of the first', async (t) => {
  const { asked, read } = book([[1], [2], [3], [4], [5]]);
  const questions: number[] = [];
  let isAway = false;
  const stretch = stretchesOf(2, (question: number, token) => {
    questions.push(question);
    return isAway ? Promise.reject(new Error('away')) : read(token);
  });
  const walk = async (question: number): Promise<number[]> => {
    const walked: number[] = [];
    for await (const page of stretch(question)) walked.push(...page);
    return walked;
  };
  t.same([await walk(10), await walk(20), await walk(30)], [[1, 2], [3, 4], [5]]);
  t.same(asked, [undefined, '1', '2', '3', '4']);
  t.same(questions, [10, 10, 10, 10, 10]);
  t.same(await walk(40), [1, 2], 'then from the beginning');
  isAway = true;
  await t.rejects(walk(50), { message: 'away' });
  isAway = false;
  t.same(await walk(60), [1, 2], 'and so after one that could not be read');
  t.same(questions.slice(5), [40, 40, 40, 60, 60]);
});

t.test('what is to be removed is removed whole, however much it is', async (t) => {
  for (const there of [0, 1, 999, 1000, 1001, 12_345]) {
    let left = there;
    const limits = new Set<number>();
    const removed = await removeAll(async (limit) => {
      limits.add(limit);
      const some = Math.min(limit, left);
      left -= some;
      return some;
    });
    t.same([removed, left, [...limits]], [there, 0, [1000]]);
  }
});
