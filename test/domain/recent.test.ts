/** What is remembered for a while is bounded by the while, and is there as long as it is asked for. */
import t from 'tap';
import { Recent } from '../../src/domain/recent.ts';

t.test('what is asked for stays, what is not goes', async (t) => {
  let now = 0;
  const recent = new Recent<{ n: number }>(100, () => now);
  recent.set('asked for', { n: 1 });
  recent.set('not', { n: 2 });
  for (now = 50; now <= 1000; now += 50) t.same(recent.get('asked for'), { n: 1 }, `at ${now}`);
  t.equal(recent.get('not'), undefined);
  t.equal(recent.size, 1);
  recent.set('asked for', { n: 3 });
  t.same(recent.get('asked for'), { n: 3 });
  now += 99;
  recent.delete('asked for');
  t.equal(recent.get('asked for'), undefined);
  t.equal(recent.size, 0);
});

t.test('to look whether something is remembered does not make it stay', async (t) => {
  let now = 0;
  const recent = new Recent<true>(100, () => now);
  recent.set('one', true);
  for (now = 0; now <= 190; now += 10) t.equal(recent.has('one'), true);
  now = 200;
  t.equal(recent.has('one'), false);
});

t.test('however many come, those of twice the time are the most', async (t) => {
  let now = 0;
  const recent = new Recent<true>(100, () => now);
  let most = 0;
  for (; now < 2000; now++) {
    recent.set(`driver-${now}`, true);
    most = Math.max(most, recent.size);
  }
  t.ok(most <= 200, `${most}`);
  t.equal(recent.get('driver-1900'), true, 'and who came within the time is there');
  now += 1000;
  t.equal(recent.get('driver-1999'), undefined, 'nothing outlasts a long silence');
  t.equal(recent.size, 0);
});
