import fc from 'fast-check';
import t from 'tap';
import { Few } from '../../src/realtime/few.ts';

const members = Array.from({ length: 4 }, (_, name) => ({ name }));
const step = fc.record({ does: fc.constantFrom('add', 'delete'), which: fc.nat(members.length - 1) });

t.test('it holds what a Set holds, in the same order', async () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const few = new Few<{ name: number }>();
      const set = new Set<{ name: number }>();
      for (const { does, which } of steps) {
        const member = members[which]!;
        if (does === 'add') {
          few.add(member);
          set.add(member);
        } else {
          few.delete(member);
          set.delete(member);
        }
        const agrees =
          few.size === set.size &&
          members.every((one) => few.has(one) === set.has(one)) &&
          JSON.stringify([...few]) === JSON.stringify([...set]);
        if (!agrees) return false;
      }
      return true;
    }),
  );
});

t.test('what is taken out while it is iterated is not met any more', async (t) => {
  const [first, second, third] = members as [object, object, object];
  const few = new Few<object>();
  for (const member of [first, second, third]) few.add(member);
  const met: object[] = [];
  for (const member of few) {
    met.push(member);
    few.delete(second);
    few.delete(third);
  }
  t.same(met, [first]);
  t.same([...few], [first]);
});
