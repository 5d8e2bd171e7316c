/** Seals: what was closed opens as it was, by any key that is accepted; anything else does not open. */
import fc from 'fast-check';
import t from 'tap';
import { createSeal } from '../../../src/adapters/system/seal.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 200 }).filter((s) => s !== '' && s.isWellFormed());

t.test('what was closed opens; changed anywhere it does not', async (t) => {
  const seal = createSeal(['one'], 'tests');
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(text, fc.nat(), fc.constantFrom(...'AQgw09-_.x'), (text, at, char) => {
        const sealed = seal.close(text);
        if (seal.open(sealed) !== text) throw new Error(sealed);
        const place = at % sealed.length;
        const changed = sealed.slice(0, place) + char + sealed.slice(place + 1);
        return changed === sealed || seal.open(changed) === null;
      }),
    ),
  );
  for (const bad of ['', '.', 'a.b', `${seal.close('x')}=`, ` ${seal.close('x')}`]) t.equal(seal.open(bad), null, bad);
});

t.test('keys: another secret or purpose does not open it, a former secret does', async (t) => {
  const old = createSeal(['old'], 'tests').close('x');
  t.equal(createSeal(['new'], 'tests').open(old), null);
  t.equal(createSeal(['old'], 'others').open(old), null);
  const both = createSeal(['new', 'old'], 'tests');
  t.equal(both.open(old), 'x');
  t.equal(createSeal(['new'], 'tests').open(both.close('y')), 'y', 'and the new one signs');
});
