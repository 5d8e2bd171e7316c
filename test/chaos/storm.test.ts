/** Nodes and Redis are killed and lines break under a crowd: nothing ordered is lost, doubled or out of order (R10, R18). */
import t, { type Test } from 'tap';
import { type StormPlan, type StormReport, storm } from './storm.ts';

t.setTimeout(180_000);

const plan: Omit<StormPlan, 'redis' | 'directory'> = {
  nodes: 3,
  pairs: 4,
  bystanders: 11,
  notesPerS: 8,
  chatPerTrip: 3,
  heavyBytes: 30_000,
  rounds: 1,
  pauseMs: 1500,
  badLineMs: 150,
  seed: `${process.pid}`,
};

function check(t: Test, { lost, reordered, faults, ...figures }: StormReport): void {
  t.comment(JSON.stringify(figures));
  t.same(lost.slice(0, 20), [], 'nothing was lost');
  t.same(reordered.slice(0, 20), [], 'nothing came out of order');
  t.same(faults, [], 'nothing was refused');
  t.ok(figures.messages > 300 && figures.deliveries > figures.messages, 'there was something to lose');
  t.ok(figures.resumedByToken > 5 && figures.resumedByPlace > 5, 'both ways back were taken');
}

t.test('one Redis with its append-only file', async (t) => {
  const report = await storm(t, { ...plan, redis: 'one', directory: t.testdir(), say: (line) => t.comment(line) });
  check(t, report);
  t.equal(report.told, 0, 'nobody had to be told that something is gone');
  t.equal(report.turns, 0, 'no topic began anew');
});

t.test('a Redis Cluster of six', async (t) => {
  const directory = t.testdir();
  const report = await storm(t, {
    ...plan,
    redis: 'cluster',
    heavyBytes: 2000,
    rounds: 1,
    directory,
    say: (line) => t.comment(line),
  });
  check(t, report);
});
t.end();
