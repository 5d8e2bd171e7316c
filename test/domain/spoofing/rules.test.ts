/** Which devices look as if they were somewhere else, and which do not. */
import t from 'tap';
import type { Finding } from '../../../src/domain/anomalies/rules.ts';
import { freshSpoof, type Heard, suspect } from '../../../src/domain/spoofing/rules.ts';
import { freshState, judge } from '../../../src/domain/tracks/rules.ts';
import { isRecorded, type TestFix, testTraces } from '../../traces.ts';

const NOW = 1_421_322_000_000;

function listen(fixes: readonly Heard[]): Finding[] {
  const cleansing = freshState();
  const spoof = freshSpoof();
  return fixes.flatMap((fix) => {
    const verdict = judge(cleansing, fix);
    if (verdict === 'late' || verdict === 'duplicate') return [];
    return suspect(spoof, fix, verdict === 'jump') ?? [];
  });
}

t.test(
  'taxi traces: nearly no honest device is suspected, and a recording that is played again always is',
  async (t) => {
    let honest = 0;
    let suspected = 0;
    let replayed = 0;
    let caught = 0;
    for (const { fixes } of await testTraces()) {
      if (fixes.length < 30) continue;
      honest++;
      if (listen(fixes).length > 0) suspected++;
      const moving = fixes.filter(
        (fix, i) => i === 0 || fix.lat !== fixes[i - 1]!.lat || fix.lng !== fixes[i - 1]!.lng,
      );
      if (moving.length < 25 || fixes.length > 100) continue;
      replayed++;
      const later = fixes.at(-1)!.at + 600_000;
      const again = fixes.map((fix: TestFix, i) => ({ ...fix, at: later + i * 15_000 }));
      if (listen([...fixes, ...again]).some(({ evidence }) => evidence.sign === 'replayed_track')) caught++;
    }
    t.comment(
      `${isRecorded ? 'recorded' : 'made'}: ${suspected} of ${honest} honest suspected, ${caught} of ${replayed} replays caught`,
    );
    t.ok(honest > 100 && replayed > 50);
    t.ok(suspected / honest < 0.02, `${suspected}`);
    t.ok(caught / replayed > 0.97, `${caught} of ${replayed}`);
  },
);

t.test('jumps and speeds that do not fit the way are signs too', async (t) => {
  const at = (i: number, metres: number, speedMps?: number): Heard => ({
    lat: 41 + metres / 111_195,
    lng: -8.6 + i * 1e-7,
    at: NOW + i * 5000,
    ...(speedMps === undefined ? {} : { speedMps }),
  });
  const jumping = Array.from({ length: 40 }, (_, i) => at(i, i % 5 === 4 ? 50_000 + i * 1000 : i * 40));
  t.hasStrict(listen(jumping)[0], { kind: 'spoofed_gps', evidence: { sign: 'jumps', jumps: 6 } });
  const claiming = Array.from({ length: 40 }, (_, i) => at(i, i * 5, 25));
  t.hasStrict(listen(claiming)[0], { evidence: { sign: 'speed_mismatch', speed_mismatches: 12 } });
  const still = Array.from({ length: 200 }, (_, i) => ({ lat: 41, lng: -8.6, at: NOW + i * 5000, speedMps: 0 }));
  t.same(listen(still), [], 'standing still is no replay');
});
t.end();
