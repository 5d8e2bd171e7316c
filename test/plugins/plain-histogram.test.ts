/** The histogram of requests exports what prom-client's own would: as text, as data, and summed over workers. */
import { AggregatorRegistry, Histogram, Registry } from 'prom-client';
import t from 'tap';
import { PlainHistogram } from '../../src/plugins/plain-histogram.ts';

const config = {
  name: 'http_request_duration_seconds',
  help: 'request duration in seconds',
  labelNames: ['method', 'route', 'status_code'],
  buckets: [0.001, 0.01, 0.1, 1],
};
const asked = [
  { method: 'GET', route: '/trips/:id', status_code: 200 },
  { method: 'GET', route: '/trips/:id', status_code: 404 },
  { method: 'POST', route: '/trips', status_code: 200 },
  { method: 'GET', route: '/"quoted"\\\n', status_code: 200 },
];

/** The same durations in both. */
function measured() {
  const [ours, theirs] = [new Registry(), new Registry()];
  const histogram = new PlainHistogram({ ...config, registers: [ours] });
  const reference = new Histogram({ ...config, registers: [theirs] });
  for (const [n, ms] of [0, 0.5, 1, 1.5, 10, 99, 100, 101, 1000, 1001, 60_000].entries()) {
    for (const labels of asked.slice(0, 1 + (n % asked.length))) {
      histogram.observe(labels, ms / 1000);
      reference.observe(labels, ms / 1000);
    }
  }
  return { ours, theirs, histogram };
}

t.test('as text and as data', async (t) => {
  const { ours, theirs, histogram } = measured();
  const sorted = (text: string): string[] =>
    text.split('\n').map((line) => line.replace(/\{(.*)\}/, (_, labels) => `{${labels.split(',').sort()}}`));
  t.same(sorted(await ours.metrics()), sorted(await theirs.metrics()));
  const values = async (registry: Registry) =>
    (await registry.getMetricsAsJSON()).map(({ name, help, type, values }) => ({
      ...{ name, help, type },
      values: values.map(({ labels, value, ...more }) => ({
        labels,
        value,
        name: (more as { metricName?: string }).metricName,
      })),
    }));
  t.same(await values(ours), await values(theirs));
  histogram.reset();
  t.equal((await histogram.get()).values.length, 0);
  histogram.observe(asked[0]!, 0.01);
  t.equal((await histogram.get()).values.at(-1)!.value, 1, 'and begins again');
});

t.test('what was exported does not change with what is counted later', async (t) => {
  const { ours, histogram } = measured();
  const before = await ours.getMetricsAsJSON();
  const copy = structuredClone(before);
  histogram.observe(asked[0]!, 0.01);
  t.same(before, copy);
});

t.test('summed over workers', async (t) => {
  const [one, two] = [measured(), measured()];
  const sum = async (registries: Registry[]) =>
    AggregatorRegistry.aggregate(
      await Promise.all(registries.map((registry) => registry.getMetricsAsJSON())),
    ).getMetricsAsJSON();
  t.same(await sum([one.ours, two.ours]), await sum([one.theirs, two.theirs]));
});

t.test('without labels', async (t) => {
  const [ours, theirs] = [new Registry(), new Registry()];
  const { name, help, buckets } = config;
  const histogram = new PlainHistogram({ name, help, buckets, labelNames: [], registers: [ours] });
  const reference = new Histogram({ name, help, buckets, registers: [theirs] });
  t.equal(await ours.metrics(), await theirs.metrics(), 'before anything was measured');
  for (const seconds of [0, 0.005, 0.1, 2]) {
    histogram.observe({}, seconds);
    reference.observe(seconds);
  }
  t.equal(await ours.metrics(), await theirs.metrics());
});
