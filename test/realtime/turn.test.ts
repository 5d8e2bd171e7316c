/** The end of a turn: topics are joined before sessions write, and one that rests keeps nobody from what must not wait. */
import t from 'tap';
import { Frame } from '../../src/realtime/frame.ts';
import { Turn } from '../../src/realtime/turn.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';
import { note, Peer, principal, quiet, realtimeNode } from './node.ts';

/** A session that does this when it is flushed. */
const flushing = (flush: () => void) => ({ flush, close() {} });

const spin = (ms: number): void => {
  for (const end = performance.now() + ms; performance.now() < end; );
};

t.test('topics are joined, then sessions write, all in one turn', async (t) => {
  const turn = new Turn(1000, quiet);
  const seen: string[] = [];
  turn.addSession(
    0,
    flushing(() => seen.push('write')),
  );
  turn.addJoiner({
    join() {
      seen.push('join');
      turn.addSession(
        1,
        flushing(() => seen.push('write of what was joined')),
      );
    },
  });
  t.same(seen, []);
  await until(() => seen.length === 3, 'the end of the turn');
  t.same(seen, ['join', 'write', 'write of what was joined']);
});

t.test('a turn asks for its end once; what its end brings is another turn only when it was left over', async (t) => {
  const real = globalThis.setImmediate;
  t.teardown(() => {
    globalThis.setImmediate = real;
  });
  let ends = 0;
  globalThis.setImmediate = Object.assign(
    ((run: () => void) => {
      ends++;
      return real(run);
    }) as typeof real,
    real,
  );
  const next = () => new Promise<void>((resolve) => real(resolve));
  const turn = new Turn(1, quiet);
  turn.addJoiner({
    join: () =>
      turn.addSession(
        0,
        flushing(() => {}),
      ),
  });
  await next();
  await next();
  t.equal(ends, 1);
  let written = 0;
  const slow = flushing(() => {
    written++;
    spin(2);
  });
  turn.addJoiner({
    join() {
      turn.addSession(0, slow);
      turn.addSession(1, slow);
    },
  });
  await next();
  t.equal(written, 1, 'the second is beyond the budget');
  await next();
  t.equal(written, 2);
  t.equal(ends, 3);
});

t.test('a resting topic is joined after its rest, and by a flush at once', async (t) => {
  const turn = new Turn(1000, quiet);
  const seen: string[] = [];
  turn.addResting({ join: () => seen.push('rested') }, 5);
  turn.addJoiner({ join: () => seen.push('not rested') });
  await until(() => seen.length === 2, 'both');
  t.same(seen, ['not rested', 'rested']);
  turn.addResting({ join: () => seen.push('flushed') }, 60_000);
  turn.flush();
  t.equal(seen.at(-1), 'flushed');
});

t.test('what handing out costs is what it took', async (t) => {
  const turn = new Turn(1000, quiet);
  t.equal(turn.costMs(1000), 0, 'not known yet');
  for (let i = 0; i < 100; i++) {
    for (let session = 0; session < 20; session++)
      turn.addSession(
        session % 3,
        flushing(() => spin(0.05)),
      );
    turn.flush();
  }
  t.ok(turn.costMs(1000) >= 45, `at least what was spent: ${turn.costMs(1000)}`);
});

t.test('what fails is one topic’s or one session’s alone', async (t) => {
  const told: string[] = [];
  const turn = new Turn(1000, { ...quiet, error: (_facts, message) => void told.push(message) });
  const seen: string[] = [];
  const broken = (): never => {
    throw new Error('broken');
  };
  turn.addJoiner({ join: broken });
  turn.addJoiner({ join: () => seen.push('join') });
  const ended: string[] = [];
  turn.addSession(0, { flush: broken, close: (code) => ended.push(code) });
  turn.addSession(
    0,
    flushing(() => seen.push('next')),
  );
  turn.addSession(
    1,
    flushing(() => seen.push('other shard')),
  );
  await until(() => seen.length === 3, 'all the others');
  t.same(seen, ['join', 'next', 'other shard']);
  t.same(ended, ['RIDE_INTERNAL']);
  t.equal(told.length, 2);
});

t.test(
  'the budget counts within a shard too; what is left goes on, and what comes first comes before it',
  async (t) => {
    const turn = new Turn(5, quiet);
    const written: string[] = [];
    const end = () => new Promise<void>((resolve) => setImmediate(resolve));
    for (let i = 0; i < 200; i++) {
      turn.addSession(
        0,
        flushing(() => {
          written.push(`${i}`);
          spin(0.1);
        }),
      );
    }
    await end();
    t.equal(written.length, 64, 'a slice of it');
    turn.addFirst(flushing(() => written.push('answer')));
    turn.addSession(
      0,
      flushing(() => written.push('last')),
    );
    await until(() => written.length === 202, 'all of it');
    t.equal(written[64], 'answer');
    t.same(
      written.filter((one) => one !== 'answer'),
      [...Array.from({ length: 200 }, (_, i) => `${i}`), 'last'],
    );
  },
);

t.test('an answer is written before a fan-out that was there first', async (t) => {
  const { broker } = await realtimeNode(t, (await startRedis(t)).url);
  const written: string[] = [];
  class Noting extends Peer {
    readonly name: string;
    constructor(name: string) {
      super();
      this.name = name;
    }
    override write(): void {
      written.push(this.name);
    }
  }
  const open = (name: string) => broker.open(name, principal('u'), 'ws', new Noting(name));
  const [follower, asker, both] = [open('follower'), open('asker'), open('both')];
  const message = new Frame(note('trip:t', 'x'), 'location', 'trip:t');
  follower.send(message);
  both.send(message);
  asker.send(message, true);
  both.send(message, true);
  broker.flush();
  t.same(written, ['asker', 'both', 'both', 'follower'], 'each session in its own order');
  follower.send(message);
  both.send(message, true);
  broker.flush();
  t.same(written.slice(4), ['both', 'follower'], 'and again');
});
