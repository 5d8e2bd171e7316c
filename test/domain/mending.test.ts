/** One that cannot be mended does not keep the others from it, and is told. */
import t from 'tap';
import { mendEach } from '../../src/domain/mending.ts';

t.test('each is seen to in turn, and those that were mended are counted', async (t) => {
  const told: [string, unknown][] = [];
  const seen: string[] = [];
  const away = new Error('away');
  const how = async (one: string) => {
    seen.push(one);
    if (one === 'broken') throw away;
    return one === 'well' ? false : undefined;
  };
  const mended = await mendEach(['lost', 'broken', 'well', 'late'], how, (error, one) => void told.push([one, error]));
  t.same(seen, ['lost', 'broken', 'well', 'late']);
  t.equal(mended, 2);
  t.same(told, [['broken', away]]);
});
