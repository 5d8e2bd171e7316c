/** How often honest devices are suspected of spoofing, and which kinds of it are found. */
import { offset } from '../../sim/geo.ts';
import { createDraw } from '../../sim/random.ts';
import { distanceM } from '../../src/domain/geo.ts';
import { freshSpoof, type Heard, suspect } from '../../src/domain/spoofing/rules.ts';
import { type Fix, freshState, judge } from '../../src/domain/tracks/rules.ts';
import type { Ride } from './rides.ts';
import { percent, table } from './text.ts';

/** As the watch does: what cleansing left out for its time is not looked at. Fixes until the first sign; null: none. */
function signOf(fixes: readonly Heard[]): { sign: string; after: number } | null {
  const cleansing = freshState();
  const state = freshSpoof();
  for (const [i, fix] of fixes.entries()) {
    const verdict = judge(cleansing, fix);
    if (verdict === 'late' || verdict === 'duplicate' || verdict === 'inaccurate') continue;
    const finding = suspect(state, fix, verdict === 'jump');
    if (finding) return { sign: String(finding.evidence.sign), after: i + 1 };
  }
  return null;
}

const STEP_MS = 15_000;
const dated = (points: readonly Fix[], from: number): Fix[] => points.map((p, i) => ({ ...p, at: from + i * STEP_MS }));

/** The recording is played again, some time after the ride. */
const replayed = ({ raw }: Ride): Heard[] => [...raw, ...dated(raw, raw.at(-1)!.at + 600_000)];

/** The same, moved by up to a metre: a recording whose player adds noise. */
function noisyReplay({ row, raw }: Ride): Heard[] {
  const draw = createDraw('replay', row);
  const moved = raw.map((fix) => ({ ...offset(fix, draw() - 0.5, draw() - 0.5), at: fix.at }));
  return [...raw, ...dated(moved, raw.at(-1)!.at + 600_000)];
}

/** Every few fixes he says to be some kilometres away, to be offered what is there, and comes back. */
function teleporting({ row, raw }: Ride): Heard[] {
  const draw = createDraw('teleport', row);
  return raw.map((fix, i) => (i % 5 === 4 ? { ...offset(fix, 4000 + draw() * 500, 3000), at: fix.at } : fix));
}

/** Drives on the map, with the receiver's speed of someone who stands. */
const towed = ({ raw }: Ride): Heard[] => raw.map((fix) => ({ ...fix, speedMps: 0 }));

/** What an honest device tells: the speed between its fixes, within a tenth or so. */
function honest({ row, raw }: Ride): Heard[] {
  const draw = createDraw('speed', row);
  return raw.map((fix, i) => {
    const last = raw[i - 1];
    if (!last) return { ...fix, speedMps: 0 };
    return { ...fix, speedMps: (distanceM(last, fix) / ((fix.at - last.at) / 1000)) * (0.9 + 0.2 * draw()) };
  });
}

export function spoofing(rides: readonly Ride[]): string {
  const long = rides.filter(({ raw }) => raw.length >= 30 && raw.length <= 110);
  const rows = (
    [
      ['honest, no speeds told', ({ raw }) => raw],
      ['honest, speeds told', honest],
      ['the ride recorded and played again', replayed],
      ['played again with up to half a metre of noise', noisyReplay],
      ['one fix in five is 5 km away', teleporting],
      ['moves on the map, stands by its own speed', towed],
    ] as [string, (ride: Ride) => readonly Heard[]][]
  ).map(([what, make]) => {
    const signs = long.map((ride) => signOf(make(ride))).filter((sign) => sign !== null);
    const kinds = [...new Set(signs.map(({ sign }) => sign))].sort().join(', ');
    return [what, percent(signs.length, long.length), kinds || '–'];
  });
  return `## Spoofed positions

${table(['device', 'suspected', 'by'], rows)}

${long.length} rides of 30 to 110 fixes. A recording whose player adds noise is not found by its places; what moves on the map against its own speed is found
where it moves faster than 15 m/s for twelve fixes.
`;
}
