/** What devices say of themselves: the rules, what it explains, and what of it is written. */
import t from 'tap';
import type { Ports } from '../../../src/domain/services.ts';
import { staleReasonOf, telematicsViolation } from '../../../src/domain/telematics/rules.ts';
import { until } from '../../until.ts';
import { manualClock, shared, stack } from '../stack.ts';

t.test('bounds, by field', async (t) => {
  const fieldOf = (input: object): string | undefined => telematicsViolation(input)?.field;
  t.equal(fieldOf({}), undefined);
  t.equal(fieldOf({ batteryRatio: 0, signalDbm: 0, appVersion: 'x'.repeat(64), inBackground: false }), undefined);
  t.equal(fieldOf({ batteryRatio: 1, signalDbm: -150 }), undefined);
  for (const wrong of [-0.01, 1.01, Number.NaN]) t.equal(fieldOf({ batteryRatio: wrong }), 'battery_ratio');
  for (const wrong of [-151, 1]) t.equal(fieldOf({ signalDbm: wrong }), 'signal_dbm');
  t.equal(fieldOf({ appVersion: 'x'.repeat(65) }), 'app_version');
});

t.test('what was said around the last position explains it; the worst of it first', async (t) => {
  const at = 1_000_000;
  const why = (said: object, recordedAt = at) => staleReasonOf({ at, ...said }, recordedAt, 60_000);
  t.equal(staleReasonOf(null, at, 60_000), 'silent');
  t.equal(why({}), 'silent');
  t.equal(why({ batteryRatio: 0.11, signalDbm: -112, inBackground: false }), 'silent');
  t.equal(why({ batteryRatio: 0.1, signalDbm: -113, inBackground: true }), 'battery_low');
  t.equal(why({ batteryRatio: 0.11, signalDbm: -113, inBackground: true }), 'no_signal');
  t.equal(why({ inBackground: true }), 'background');
  t.equal(why({ inBackground: true }, at + 60_000), 'background', 'said a little before');
  t.equal(why({ inBackground: true }, at + 60_001), 'silent', 'what was said before that was over when he came');
  t.equal(why({ inBackground: true }, at - 3_600_000), 'background', 'said long after');
});

t.test('the newest is kept, and the same again written only now and then', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  const of = () => s.telematics.of('driver');
  const startedAt = clock.now();
  s.telematics.heard('driver', { batteryRatio: 0.5 });
  await until(async () => (await of()) !== null, 'what was said');
  const ttlMs = await s.redis.pttl('porter:telematics:driver');
  t.ok(ttlMs > 0 && ttlMs <= 3_600_000, 'it ends with his position');
  clock.add(10_000);
  s.telematics.heard('driver', { batteryRatio: 0.5 });
  s.telematics.heard('other', { batteryRatio: 0.5 });
  await until(async () => (await s.telematics.of('other')) !== null, 'what came behind it');
  t.equal((await of())?.at, startedAt, 'not written again');
  s.telematics.heard('driver', { signalDbm: -90 });
  await until(async () => (await of())?.signalDbm === -90, 'what is new');
  t.strictSame(await of(), { signalDbm: -90, at: clock.now() }, 'it takes the place of all before');
  clock.add(30_000);
  s.telematics.heard('driver', { signalDbm: -90 });
  await until(async () => (await of())?.at === clock.now(), 'the same after a while');
});

t.test('what could not be written is written when it is said again', async (t) => {
  const clock = manualClock();
  let isAway = true;
  const s = await stack(t, await shared(t, clock), {
    wrapPorts: (ports) => ({
      ...ports,
      telematics: {
        ...ports.telematics,
        keep: (...said) => (isAway ? Promise.reject(new Error('away')) : ports.telematics.keep(...said)),
      },
    }),
  });
  s.telematics.heard('driver', { batteryRatio: 0.5 });
  t.equal(await s.telematics.of('driver'), null);
  isAway = false;
  s.telematics.heard('driver', { batteryRatio: 0.5 });
  await until(async () => (await s.telematics.of('driver')) !== null, 'what was said again');
});

t.test(
  'a place is shown with its age; the reason why it is stale is asked for then alone, and of whichever node heard it',
  async (t) => {
    const clock = manualClock();
    const where = await shared(t, clock);
    let asked = 0;
    const counted = {
      wrapPorts: (ports: Ports): Ports => ({
        ...ports,
        telematics: { ...ports.telematics, of: (id) => ports.telematics.of(id).finally(() => asked++) },
      }),
    };
    const [a, b] = [await stack(t, where), await stack(t, where, counted)];
    const seen = { lat: 1, lng: 2, recordedAt: clock.now(), accuracyM: 7, source: 'rest' };
    a.telematics.heard('driver', { signalDbm: -120 });
    await until(async () => (await a.telematics.of('driver')) !== null, 'what was said');
    clock.add(60_000);
    t.strictSame(await b.telematics.shown('driver', seen), { ...seen, ageMs: 60_000, stale: false });
    t.equal(asked, 0);
    clock.add(1);
    const stale = { ageMs: 60_001, stale: true };
    t.strictSame(await b.telematics.shown('driver', seen), { ...seen, ...stale, staleReason: 'no_signal' });
    t.strictSame(await b.telematics.shown('other', seen), { ...seen, ...stale, staleReason: 'silent' });
    t.strictSame(await b.telematics.shown('driver', { lat: 1, lng: 2 }), { lat: 1, lng: 2 }, 'no age is made up');
    t.equal(asked, 2);
  },
);
