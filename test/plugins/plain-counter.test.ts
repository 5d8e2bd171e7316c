/** The counter of messages exports what prom-client's own would: as text, as data, and summed over workers. */
import { AggregatorRegistry, Counter, Registry } from 'prom-client';
import t from 'tap';
import { PlainCounter } from '../../src/plugins/plain-counter.ts';

const config = { name: 'realtime_messages_sent_total', help: 'Outbound messages', labelNames: ['namespace', 'event'] };
const counted: [namespace: string, event: string, times: number][] = [
  ['ws', 'ack', 3],
  ['grpc', 'ack', 1],
  ['grpc', '"quoted"\\\n', 70_000],
];

/** The same counts in both. */
function counts() {
  const [ours, theirs] = [new Registry(), new Registry()];
  const counter = new PlainCounter({ ...config, registers: [ours] });
  const reference = new Counter({ ...config, registers: [theirs] });
  const series = counted.map(([namespace, event, times]) => {
    const one = counter.series(namespace, event);
    one.value += times;
    reference.inc({ namespace, event }, times);
    return one;
  });
  const bare = { name: 'without_labels_total', help: 'One series', labelNames: [] };
  new PlainCounter({ ...bare, registers: [ours] }).series();
  new Counter({ ...bare, registers: [theirs] });
  return { ours, theirs, counter, series };
}

t.test('as text and as data', async (t) => {
  const { ours, theirs, counter, series } = counts();
  t.equal(await ours.metrics(), await theirs.metrics());
  const values = async (registry: Registry) =>
    (await registry.getMetricsAsJSON()).map(({ name, help, type, values }) => ({ name, help, type, values }));
  t.same(await values(ours), await values(theirs));
  counter.reset();
  t.same(
    (await counter.get()).values.map(({ value }) => value),
    [0, 0, 0],
  );
  series[0]!.value++;
  t.equal((await counter.get()).values[0]!.value, 1, 'and begins again');
});

t.test('what was exported does not change with what is counted later', async (t) => {
  const { ours, series } = counts();
  const before = await ours.getMetricsAsJSON();
  const copy = structuredClone(before);
  series[0]!.value++;
  t.same(before, copy);
});

t.test('summed over workers', async (t) => {
  const workers = await Promise.all([counts(), counts()].map(({ ours }) => ours.getMetricsAsJSON()));
  const sum = await AggregatorRegistry.aggregate(workers).getSingleMetric(config.name)!.get();
  t.same(
    sum.values.map(({ value }) => value),
    counted.map(([, , times]) => 2 * times),
  );
});
t.end();
