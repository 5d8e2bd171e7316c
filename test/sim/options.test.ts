import t from 'tap';
import { loadCity } from '../../sim/city/figures.ts';
import { helpText, OptionError, parseOptions } from '../../sim/options.ts';
import { makePlan } from '../../sim/plan.ts';

t.test('without arguments: a pleasant slice of the built-in city', async (t) => {
  const options = parseOptions([])!;
  t.match(options, { speed: 60, seed: 1, servers: 1, keep: false, headless: false, open: true });
  const city = loadCity();
  const plan = await makePlan(options, city);
  t.equal(city.zone.clockAt(plan.fromMs), '08:00');
  t.equal(city.zone.clockAt(plan.trips.at(-1)!.atMs).slice(0, 2), '09', 'two minutes at sixty times life');
  t.ok(plan.trips.length > 500 && plan.drivers > 100);
});

t.test('every argument is taken', async (t) => {
  const args =
    '--speed 300 --drivers 50 --riders 9 --seed 7 --from 7:30 --until 24:00 --servers 2 --kill-at 0.5 --headless --keep';
  const expected = {
    speed: 300,
    drivers: 50,
    riders: 9,
    seed: 7,
    from: 450,
    until: 1440,
    servers: 2,
    killAt: 0.5,
    keep: true,
  };
  t.match(parseOptions([...args.split(' '), '--mongodb', 'mongodb://h/?a=b', '--redis=redis://h:1']), expected);
  t.equal(parseOptions(['--help']), undefined);
  t.match(helpText(), /--kill-at SHARE/);
});

t.test('a bad argument is named with its rule', async (t) => {
  const cases: [string[], RegExp][] = [
    [['--speed', 'fast'], /--speed: "fast" is not a number from 0.1 to 5000/],
    [['--speed', '0'], /--speed/],
    [['--drivers', '1.5'], /--drivers: "1.5" is not a whole number from 1 to 20000/],
    [['--from', '25:00'], /--from: "25:00" is not a time of day/],
    [['--from', '10:00', '--until', '09:00'], /--until: must be later than --from/],
    [['--trips', '/nowhere.csv'], /--trips: "\/nowhere.csv" is not a file that can be read/],
    [['--servers', '3'], /--servers: "3" is not 1 or 2/],
    [['--kill-at', '0.5'], /--kill-at: needs --servers 2/],
    [['--kill-at', '2', '--servers', '2'], /--kill-at: "2" is not a number from 0 to 1/],
    [['--mongodb', 'http://x'], /--mongodb: .* begins with mongodb:\/\//],
    [['--date', '2015-01-15'], /--date: needs --trips/],
    [['--sped', '60'], /--sped/],
    [['08:00'], /08:00/],
  ];
  for (const [args, message] of cases) {
    t.throws(() => parseOptions(args), { name: 'OptionError', message }, args.join(' '));
  }
  const nothing = parseOptions(['--from', '08:00', '--until', '08:01', '--demand', '24'])!;
  await t.rejects(makePlan(nothing, loadCity()), OptionError, 'a slice without trips');
});
