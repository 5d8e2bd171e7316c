/** Tracks: points by subject and time, repeats once, retention by bucket. */
import type { TrackPoint } from '../../../src/ports/store.ts';
import type { Cases } from '../store.ts';
import { openAt, thing } from './place.ts';

const HOUR = 3_600_000;
const START = 1_700_000_000_000 - (1_700_000_000_000 % HOUR);
const point = (at: number, more: Partial<TrackPoint> = {}): TrackPoint => ({
  at,
  lat: 12.9716,
  lng: -77.5946,
  ...more,
});

const of = (subject: string, ...points: TrackPoint[]) => new Map([[subject, points]]);

export const trackCases: Cases = {
  'points come back by time whatever the order they came in, across hours': async (t, place) => {
    const { store } = await openAt(t, place);
    const subject = thing().id;
    const full = { speedMps: 8.3, headingDeg: 0, accuracyM: 4.5 };
    const all = [
      point(START - 1),
      point(START, full),
      point(START + 1),
      point(START + HOUR - 1),
      point(START + HOUR, full),
    ];
    await store.tracks.append(of(subject, all[4]!, all[1]!));
    await store.tracks.append(
      new Map([
        [subject, [all[3]!, all[0]!, all[2]!]],
        ['another subject', [point(START + 5, { lat: 1 })]],
      ]),
    );
    await store.tracks.append(of(subject));
    const read = (from: number, to: number): Promise<TrackPoint[]> => store.tracks.read(subject, from, to);
    t.strictSame(await read(0, START + 2 * HOUR), all);
    t.strictSame(await read(START, START + HOUR), all.slice(1, 4), 'from is in, to is out');
    t.strictSame(await read(START - 1, START), all.slice(0, 1));
    t.strictSame(await read(START + 2, START + HOUR - 1), []);
    t.strictSame(await read(START + HOUR, START), []);
    t.strictSame(await store.tracks.read('nobody', 0, START), []);
    t.strictSame(await store.tracks.read('another subject', 0, START + HOUR), [point(START + 5, { lat: 1 })]);
  },

  'a repeated point is kept once, the last one as it is': async (t, place) => {
    const { store } = await openAt(t, place);
    await store.tracks.append(of('s', point(START, { speedMps: 1 }), point(START + 1)));
    await store.tracks.append(of('s', point(START + 1), point(START), point(START, { lat: 1, accuracyM: 2 })));
    t.strictSame(await store.tracks.read('s', START, START + HOUR), [
      point(START, { lat: 1, accuracyM: 2 }),
      point(START + 1),
    ]);
  },

  'appends at the same time all arrive': async (t, place) => {
    const { store } = await openAt(t, place);
    const second = await openAt(t, place);
    const all = Array.from({ length: 200 }, (_, i) => point(START + i * 60_000, { lat: i / 10 }));
    await Promise.all(
      all.map((one, i) => (i % 2 ? store : second.store).tracks.append(of('s', one, all[(i + 1) % all.length]!))),
    );
    t.strictSame(await store.tracks.read('s', 0, START + 10 * HOUR), all);
  },

  'buckets that have ended go, whole, and are counted': async (t, place) => {
    const { store } = await openAt(t, place);
    for (let hour = 0; hour < 3; hour++) {
      for (let subject = 0; subject < 45; subject++) {
        await store.tracks.append(of(`s${subject}`, point(START + hour * HOUR), point(START + hour * HOUR + 1)));
      }
    }
    t.equal(await store.tracks.removeBefore(START + HOUR - 1), 0, 'the first hour has not ended');
    t.equal(await store.tracks.removeBefore(START + HOUR), 45);
    t.equal(await store.tracks.removeBefore(START + HOUR), 0);
    t.strictSame(
      (await store.tracks.read('s7', 0, START + 3 * HOUR)).map((one) => one.at - START),
      [HOUR, HOUR + 1, 2 * HOUR, 2 * HOUR + 1],
    );
    t.equal(await store.tracks.removeBefore(START + 9 * HOUR), 90);
    t.strictSame(await store.tracks.read('s7', 0, START + 3 * HOUR), []);
  },

  'points that are none are refused whole': async (t, place) => {
    const { store } = await openAt(t, place);
    for (const wrong of [
      { at: -1 },
      { at: 1.5 },
      { lat: Number.NaN },
      { lng: Number.POSITIVE_INFINITY },
      { speedMps: Number.NaN },
    ]) {
      await t.rejects(
        store.tracks.append(
          new Map([
            ['other', [point(START)]],
            ['s', [point(START), point(START + 1, wrong)]],
          ]),
        ),
        {
          code: 'RIDE_INVALID_INPUT',
        },
      );
    }
    await t.rejects(store.tracks.append(of('', point(START))), { code: 'RIDE_INVALID_INPUT' });
    for (const id of ['s', 'other']) t.strictSame(await store.tracks.read(id, 0, START + HOUR), []);
  },

  'points of many subjects are written together': async (t, place) => {
    const { store } = await openAt(t, place);
    const tracks = new Map<string, TrackPoint[]>();
    for (let n = 0; n < 300; n++)
      tracks.set(
        `s${n}`,
        Array.from({ length: n % 4 }, (_, i) => point(START + i * HOUR + n, { lat: n / 10 })),
      );
    await store.tracks.append(tracks);
    await store.tracks.append(tracks);
    for (const [id, points] of tracks) t.strictSame(await store.tracks.read(id, 0, START + 9 * HOUR), points, id);
  },
};
