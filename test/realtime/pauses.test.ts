/** Pauses of a node, as far as they explain a silence. */
import t from 'tap';
import { Pauses } from '../../src/realtime/pauses.ts';

t.test('the sum of those since an instant, in part where it lies in one; old ones explain nothing', async (t) => {
  const pauses = new Pauses(10_000);
  t.equal(pauses.since(0), 0);
  pauses.note(1000, 300);
  pauses.note(1500, 0);
  pauses.note(2000, 400);
  t.same(
    [0, 700, 800, 1000, 1600, 1900, 2000].map((at) => pauses.since(at)),
    [700, 700, 600, 400, 400, 100, 0],
  );
  pauses.note(11_500, 100);
  t.equal(pauses.since(0), 500, 'the first is too long ago');
  pauses.note(30_000, 0);
  t.equal(pauses.since(0), 0);
});
t.end();
