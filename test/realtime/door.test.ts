/** The door of a node without its server: how fast an address may connect, whom an address stands for, how many fit in. */
import fc from 'fast-check';
import t from 'tap';
import { openFilesLimit, sessionLimit } from '../../src/adapters/system/open-files.ts';
import { RideError } from '../../src/errors.ts';
import { addressKey, Door } from '../../src/realtime/door.ts';

function doorAt(ratePerS: number, burst: number) {
  let now = 0;
  const door = new Door({ broker: { assertOpen() {} }, meter: { stream() {} }, ratePerS, burst, now: () => now });
  /** 0, or how long to wait. */
  const knock = (address: string): number => {
    try {
      door.knock(address);
      return 0;
    } catch (error) {
      if (error instanceof RideError && error.code === 'RIDE_RATE_LIMITED') return error.retryAfterMs!;
      throw error;
    }
  };
  return {
    knock,
    wait: (ms: number) => {
      now += ms;
    },
  };
}

t.test('an address may connect so often at once, then so often a second', async (t) => {
  const { knock, wait } = doorAt(10, 3);
  t.same(
    [1, 2, 3].map(() => knock('10.0.0.1')),
    [0, 0, 0],
  );
  t.equal(knock('10.0.0.1'), 100, 'the next one in a tenth of a second');
  t.equal(knock('10.0.0.2'), 0, 'another address is not touched');
  wait(99);
  t.equal(knock('10.0.0.1'), 1);
  wait(1);
  t.equal(knock('10.0.0.1'), 0, 'after the wait that was told');
  t.equal(knock('10.0.0.1'), 100);
  wait(10_000);
  t.same(
    [1, 2, 3].map(() => knock('10.0.0.1')),
    [0, 0, 0],
    'whoever was quiet may connect at once again',
  );
  t.not(knock('10.0.0.1'), 0);
});

t.test(
  'in any time T no address connects more than burst + rate × T times, and whoever waits as told gets in',
  async (t) => {
    const knocks = fc.array(fc.record({ pauseMs: fc.nat(400), who: fc.constantFrom('a', 'b') }), { maxLength: 300 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20 }), knocks, (rate, burst, plan) => {
        const { knock, wait } = doorAt(rate, burst);
        let now = 0;
        const let_in: Record<string, number[]> = { a: [], b: [] };
        for (const { pauseMs, who } of plan) {
          wait(pauseMs);
          now += pauseMs;
          const told = knock(who);
          if (told === 0) let_in[who]!.push(now);
          else if (told <= 0 || told > Math.ceil(1000 / rate)) return false;
        }
        return Object.values(let_in).every((times) =>
          times.every((from, i) =>
            times.every((to, j) => j < i || j - i + 1 <= burst + ((to - from) * rate) / 1000 + 1e-6),
          ),
        );
      }),
    );
    t.pass('held');
  },
);

t.test('an address is remembered as its network', async (t) => {
  const same: [string, string][] = [
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['10.0.0.1', '10.0.0.1'],
    ['2001:db8:1:2:aaaa::1', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::', '2001:db8:1:2::/64'],
    ['[2001:db8:1:2:3:4:5:6]', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ];
  for (const [address, key] of same) t.equal(addressKey(address), key, address);
  const { knock } = doorAt(1, 1);
  t.equal(knock('2001:db8::1'), 0);
  t.not(knock('2001:db8::2'), 0, 'another address of the same network');
  t.equal(knock('2001:db8:0:1::1'), 0, 'another network');
});

t.test('a flood of addresses does not grow the process', async (t) => {
  const { knock } = doorAt(1, 10);
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 400_000; i++) knock(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
  const grown = (process.memoryUsage().heapUsed - before) / 2 ** 20;
  t.ok(grown < 100, `${Math.round(grown)} MiB`);
});

t.test('sessions leave room for the other files', async (t) => {
  t.equal(sessionLimit(1_200_000, null), 1_200_000, 'no limit of files');
  t.equal(sessionLimit(1_200_000, 20_000), 19_000);
  t.equal(sessionLimit(100, 20_000), 100, 'the setting is less');
  t.equal(sessionLimit(1_200_000, 1024), 768);
  t.equal(sessionLimit(1_200_000, 256), 128);
  const limit = openFilesLimit();
  t.ok(limit === null || limit > 100, `this process: ${limit}`);
});
