/** Alerts ask for metrics that there are, at the figures of document E. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { parse } from 'yaml';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface Rule {
  alert: string;
  expr: string;
  labels: Record<string, string>;
  annotations: { summary: string };
}

const { groups } = parse(readFileSync(`${ROOT}deploy/compose/alerts.yml`, 'utf8')) as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const source = readdirSync(`${ROOT}src`, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(`${ROOT}src/${name}`, 'utf8'))
  .join('\n');

t.test('every alert is about metrics of ours, and says how bad it is and what it means', async (t) => {
  t.ok(rules.length > 0);
  for (const { alert, expr, labels, annotations } of rules) {
    const names = [...expr.matchAll(/\b(?:realtime|ride|http)_\w+/g)].map(([name]) => name);
    t.ok(names.length > 0, alert);
    // What Prometheus makes of a histogram has the histogram's name and more.
    const counted = (name: string) => [name, name.replace(/_(count|sum|bucket)$/, '')];
    for (const name of names) {
      t.ok(
        counted(name).some((one) => source.includes(`'${one}'`)),
        `${alert}: ${name} is counted`,
      );
    }
    t.match(labels.severity, /^(warning|critical)$/, alert);
    t.ok(annotations.summary.length > 10, alert);
  }
});

t.test('the lag of the consumer: a warning at 1000, critical at 5000', async (t) => {
  const lag = rules.filter(({ expr }) => expr.includes('realtime_kafka_consumer_lag)'));
  t.same(
    lag.map(({ expr, labels }) => [Number(expr.split('>')[1]), labels.severity]),
    [
      [1000, 'warning'],
      [5000, 'critical'],
    ],
  );
});
t.end();
