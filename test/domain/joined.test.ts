/** Calls that are joined: each is answered by a run that began after it, and one that fails is nobody else's. */
import t from 'tap';
import { joined, type Settled, settled, unsettle } from '../../src/domain/joined.ts';

interface Run {
  keys: readonly string[];
  end(results?: Record<string, string | Error>): void;
}

/** Runs that end when the test says so; each key's result is its own name unless another is given. */
function world(groups: number, most: number) {
  const runs: Run[] = [];
  const call = joined<string, string>(
    (keys) =>
      new Promise((resolve) => {
        const end = (results: Record<string, string | Error> = {}): void => {
          const answers = keys.map((key): [string, Settled<string>] => {
            const result = results[key] ?? key;
            return result instanceof Error
              ? [key, { status: 'rejected', reason: result }]
              : [key, { status: 'fulfilled', value: result }];
          });
          resolve(new Map(answers));
        };
        runs.push({ keys, end });
      }),
    { groups, most },
  );
  return { call, runs };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

t.test('what comes while others are under way goes together, at most so many at once', async (t) => {
  const { call, runs } = world(1, 3);
  const first = call('a');
  await turn();
  const rest = ['b', 'c', 'd', 'e', 'b'].map(call);
  await turn();
  t.same(
    runs.map(({ keys }) => keys),
    [['a']],
  );
  runs[0]!.end();
  t.equal(await first, 'a');
  await turn();
  t.same(runs[1]!.keys, ['b', 'c', 'd'], 'each once');
  runs[1]!.end();
  await turn();
  runs[2]!.end();
  t.same(await Promise.all(rest), ['b', 'c', 'd', 'e', 'b']);
});

t.test('a key that is asked for again while it is under way gets a run of its own', async (t) => {
  const { call, runs } = world(2, 10);
  const early = call('a');
  await turn();
  const late = call('a');
  await turn();
  runs[1]!.end({ a: 'new' });
  runs[0]!.end({ a: 'old' });
  t.same([await early, await late], ['old', 'new']);
});

t.test('a failure is of its key; of the run, of all of them', async (t) => {
  const { call, runs } = world(1, 10);
  const some = Promise.allSettled(['a', 'b'].map(call));
  await turn();
  runs[0]!.end({ a: new Error('not a') });
  t.same(
    (await some).map(({ status }) => status),
    ['rejected', 'fulfilled'],
  );
  const failing = joined<string, string>(() => Promise.reject(new Error('away')), { groups: 1, most: 10 });
  await t.rejects(failing('a'), { message: 'away' });
  await t.rejects(failing('a'), { message: 'away' }, 'and the next is tried');
  const silent = joined<string, string>(async () => new Map(), { groups: 1, most: 10 });
  await t.rejects(silent('a'), { message: 'not answered' });
});

t.test('a promise that is settled says what it came to', async (t) => {
  t.equal(unsettle(await settled(Promise.resolve(1))), 1);
  const failed = await settled(Promise.reject(new Error('no')));
  t.throws(() => unsettle(failed), { message: 'no' });
});
