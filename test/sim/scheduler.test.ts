import fc from 'fast-check';
import t from 'tap';
import { Latency } from '../../sim/latency.ts';
import { Scheduler } from '../../sim/scheduler.ts';

t.test('tasks run in the order of their times, whatever the order of asking; cancelled ones do not', async (t) => {
  const dues = fc.array(fc.tuple(fc.integer({ min: -20, max: 30 }), fc.boolean()), { minLength: 1, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(dues, async (list) => {
      const scheduler = new Scheduler();
      const now = Date.now();
      const ran: number[] = [];
      const tasks = list.map(([delay]) => scheduler.at(now + delay, () => ran.push(delay)));
      list.forEach(([, cancel], i) => {
        if (cancel) tasks[i]!.cancelled = true;
      });
      await new Promise<void>((resolve) => scheduler.at(now + 31, resolve));
      const expected = list.filter(([, cancel]) => !cancel).map(([delay]) => delay);
      return JSON.stringify(ran) === JSON.stringify(expected.sort((a, b) => a - b));
    }),
    { numRuns: 15, seed: 1 },
  );
  t.pass('for any list');
});

t.test('a task may schedule others, and an earlier one overtakes the timer', async (t) => {
  const scheduler = new Scheduler();
  const ran: string[] = [];
  const done = new Promise<void>((resolve) => scheduler.after(40, resolve));
  scheduler.after(20, () => ran.push('late'));
  scheduler.after(5, () => {
    ran.push('early');
    scheduler.after(1, () => ran.push('from within'));
  });
  await done;
  t.same(ran, ['early', 'from within', 'late']);
});

t.test('a stopped scheduler runs nothing more', async (t) => {
  const scheduler = new Scheduler();
  const ran: string[] = [];
  scheduler.after(5, () => ran.push('after the stop'));
  scheduler.stop();
  const another = new Scheduler();
  await new Promise<void>((resolve) => another.after(20, resolve));
  another.stop();
  t.same(ran, []);
});

t.test('latencies: quantiles within five per cent, merged over processes, taken in parts', async (t) => {
  const [whole, parts] = [new Latency(), new Latency()];
  t.equal(whole.quantile(0.5), null);
  let taken = 0;
  for (let ms = 1; ms <= 1000; ms++) {
    whole.add(ms);
    const part = new Latency();
    part.add(ms);
    parts.merge(part.take());
    taken += part.count;
  }
  for (const q of [0.5, 0.95, 0.99]) {
    t.ok(Math.abs(whole.quantile(q)! / (q * 1000) - 1) < 0.06, `p${q * 100}: ${whole.quantile(q)}`);
    t.equal(parts.quantile(q), whole.quantile(q));
  }
  t.equal(taken, 0, 'what was taken is gone');
  t.ok(Math.abs(whole.shareWithin(100) - 0.1) < 0.01);
  whole.add(-5);
  t.equal(whole.count, 1001, 'two clocks may differ');
});
