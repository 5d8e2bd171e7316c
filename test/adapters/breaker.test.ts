/** The circuit breaker: what it lets through, against a model that only counts. */
import fc from 'fast-check';
import t from 'tap';
import { type BreakerState, createBreaker } from '../../src/adapters/breaker.ts';

const RESET_MS = 1000;

function breakerAt(threshold: number) {
  const time = { now: 0 };
  const states: BreakerState[] = [];
  const breaker = createBreaker({
    name: 'the part',
    threshold,
    resetMs: RESET_MS,
    isFailure: (error) => (error as Error).message !== 'no fault',
    onChange: (state) => states.push(state),
    now: () => time.now,
  });
  let ran = 0;
  const call = async (outcome: 'ok' | 'ill' | 'no fault'): Promise<'ok' | 'failed' | 'refused'> => {
    const before = ran;
    try {
      await breaker.run(async () => {
        ran++;
        if (outcome !== 'ok') throw new Error(outcome);
      });
      return 'ok';
    } catch {
      return ran === before ? 'refused' : 'failed';
    }
  };
  return { breaker, time, states, call };
}

t.test('any sequence of calls and pauses does what counting by hand says', async (t) => {
  const step = fc.oneof(
    fc.constantFrom('ok' as const, 'ill' as const, 'no fault' as const),
    fc.integer({ min: 1, max: 1500 }),
  );
  const property = fc.asyncProperty(
    fc.integer({ min: 1, max: 4 }),
    fc.array(step, { maxLength: 60 }),
    async (threshold, steps) => {
      const { breaker, time, call } = breakerAt(threshold);
      let failures = 0;
      let openUntil: number | null = null;
      for (const one of steps) {
        if (typeof one === 'number') {
          time.now += one;
          continue;
        }
        const tries = openUntil !== null && time.now >= openUntil;
        const expected = openUntil !== null && !tries ? 'refused' : one === 'ok' ? 'ok' : 'failed';
        const got = await call(one);
        if (got !== expected) throw new Error(`${one} at ${time.now}: ${got}, not ${expected}`);
        if (got === 'ok') {
          failures = 0;
          openUntil = null;
        } else if (got === 'failed') {
          if (one === 'ill') failures++;
          if (tries || failures >= threshold) {
            openUntil = time.now + RESET_MS;
            failures = 0;
          }
        }
        if ((breaker.state() === 'open') !== (openUntil !== null)) throw new Error(`${breaker.state()} at ${time.now}`);
      }
    },
  );
  await t.resolves(fc.assert(property));
});

t.test('one call tries, the others are refused meanwhile and told when', async (t) => {
  const { breaker, time, states, call } = breakerAt(2);
  t.equal(await call('ill'), 'failed');
  t.equal(await call('ill'), 'failed');
  time.now += 400;
  await t.rejects(
    breaker.run(async () => 1),
    { code: 'RIDE_UNAVAILABLE', retryAfterMs: 600 },
  );
  time.now += 600;
  const slow = Promise.withResolvers<string>();
  const trial = breaker.run(() => slow.promise);
  t.equal(breaker.state(), 'half_open');
  t.equal(await call('ok'), 'refused');
  slow.resolve('back');
  t.equal(await trial, 'back');
  t.equal(await call('ok'), 'ok');
  t.same(states, ['open', 'half_open', 'closed']);
});

t.test('what began before it opened says nothing of now', async (t) => {
  const { breaker, call } = breakerAt(1);
  const slow = Promise.withResolvers<void>();
  const early = breaker.run(() => slow.promise);
  t.equal(await call('ill'), 'failed');
  slow.resolve();
  await early;
  t.equal(breaker.state(), 'open', 'a late success does not close it');
});
