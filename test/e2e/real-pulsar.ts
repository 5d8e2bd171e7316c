/**
 * The sink on a real Pulsar, by `script/pulsar-test`: its jars are too many for every run of the suite, which has a server of our own
 * in its place (test/servers/pulsar.ts). What the real one showed, that one does.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createPulsarSink, type PulsarSinkOptions } from '../../src/adapters/pulsar/sink.ts';
import { claimSpools } from '../../src/adapters/spool/folders.ts';
import { createSpooledSink, type Outcome } from '../../src/adapters/spool/spooled-sink.ts';
import type { SinkRecord } from '../../src/ports/event-sink.ts';
import { recordOf } from '../adapters/spool/records.ts';
import { readMetrics, sum } from '../clients/metrics.ts';
import { pulsarReader } from '../clients/pulsar.ts';
import { build } from '../helper.ts';
import { quiet } from '../realtime/node.ts';
import { assignedRide } from '../scene.ts';
import { startRealPulsar } from '../servers/real-pulsar.ts';
import { until } from '../until.ts';

const MAX_BYTES = 10_000_000;
const LIMIT_MS = 60_000;

const pulsar = await startRealPulsar(t);
t.test('Pulsar', { skip: 'skip' in pulsar ? pulsar.skip : false }, async (t) => {
  if ('skip' in pulsar) return;
  const { url, token } = pulsar;
  const open = (more: Partial<PulsarSinkOptions> = {}) =>
    createPulsarSink({ url, token, namespace: 'public/default', timeoutMs: 10_000, ...more });
  /** Of each key what was read, its first arrivals. */
  const idsOf = (read: readonly { key: string; properties: Record<string, string> }[], key: string) => [
    ...new Set(read.filter((one) => one.key === key).map(({ properties }) => properties.ce_id)),
  ];
  const idsTo = (key: string, count: number) => Array.from({ length: count }, (_, n) => `${key}/${n}`);

  await t.test('keys, order, properties and payload arrive as they were', async (t) => {
    const sink = open();
    t.after(() => sink.close());
    const payload = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
    const headers = {
      ce_id: 'bytes/0',
      ce_type: 'ride.v1.trip.requested',
      'content-type': 'application/protobuf',
      umlaut: 'Zürich',
    };
    await sink.send([{ topic: 'order-events', key: 'bytes', id: 'bytes/0', headers, payload }]);
    const records = Array.from({ length: 500 }, (_, n) => recordOf(`key-${n % 10}`, Math.floor(n / 10)));
    const began = performance.now();
    for (let n = 0; n < 4; n++)
      await sink.send(records.map((record) => ({ ...record, headers: { ...record.headers, round: `${n}` } })));
    t.comment(`2000 records in ${Math.round(performance.now() - began)} ms`);
    const read = await pulsarReader(t, pulsar, 'order-events');
    await until(() => read.length >= 2001, 'the records', LIMIT_MS);
    t.same(read[0], { key: 'bytes', properties: headers, payload });
    for (let k = 0; k < 10; k++) t.same(idsOf(read, `key-${k}`), idsTo(`key-${k}`, 50));
  });

  await t.test('what it refuses is said in its own words', async (t) => {
    const refusals: [Partial<PulsarSinkOptions>, RegExp][] = [
      [{ token: undefined }, /401 Authentication required/],
      [{ token: 'guess' }, /401 /],
      [{ namespace: 'public/none' }, /404 .*"Namespace not found"/],
      [{ namespace: 'none/none' }, /404 .*"Namespace not found"/],
    ];
    for (const [wrong, said] of refusals) {
      const sink = open(wrong);
      await t.rejects(sink.send([recordOf('refused', 0)]), said);
      await sink.close();
    }
  });

  await t.test('killed again and again while events leave: each arrives, in the order of its key', async (t) => {
    const counts: Record<Outcome, number> = { sent: 0, spooled: 0, refused: 0, dead_letter: 0 };
    const spools = await claimSpools(await temporary(t), { maxBytes: MAX_BYTES, segmentBytes: MAX_BYTES, log: quiet });
    const timeoutMs = 10_000;
    const durable = createSpooledSink({
      sink: open({ timeoutMs }),
      spools,
      maxBytes: MAX_BYTES,
      timeoutMs,
      log: quiet,
      onOutcome: (outcome, count) => {
        counts[outcome] += count;
      },
    });
    let n = 0;
    const send = (): Promise<unknown> => {
      const records: SinkRecord[] = ['a', 'b', 'c'].map((key) => recordOf(`killed-${key}`, n));
      n++;
      return Promise.all(records.map((record) => durable.send(record)));
    };
    for (let life = 0; life < 2; life++) {
      const before = counts.sent;
      const running: Promise<unknown>[] = [];
      while (counts.sent < before + 300) await send();
      for (let more = 0; more < 50; more++) running.push(send());
      await pulsar.kill();
      for (let more = 0; more < 50; more++) running.push(send());
      await Promise.all(running);
      t.ok(durable.waiting().records > 0, 'the disk has what was sent meanwhile');
      await pulsar.restart();
      await until(() => durable.waiting().records === 0, 'the disk to be empty', LIMIT_MS);
    }
    await durable.close();
    t.equal(counts.refused, 0);
    const read = await pulsarReader(t, pulsar, 'order-events');
    for (const key of ['killed-a', 'killed-b', 'killed-c']) {
      await until(() => idsOf(read, key).length >= n, 'the records', LIMIT_MS);
      t.same(idsOf(read, key), idsTo(key, n));
    }
  });

  await t.test('a whole server: a ride is told, also of the time in which Pulsar was away', async (t) => {
    const env = { PERSISTENCE_SINK: 'pulsar', PULSAR_URL: url, PULSAR_TOKEN: token, HEARTBEAT_TIMEOUT: '2m' };
    const s = await build(t, { env });
    const waiting = async () => sum(await readMetrics(s.at.metrics), 'realtime_sink_spool_events');
    const ride = await assignedRide(t, s);
    await pulsar.kill();
    for (const step of ['arrive', 'start', 'complete'] as const) await ride.step(step);
    await until(async () => (await waiting()) >= 3, 'the events on the disk', LIMIT_MS);
    await pulsar.restart();
    await until(async () => (await waiting()) === 0, 'the disk to be empty', LIMIT_MS);
    const read = await pulsarReader(t, pulsar, 'order-events');
    const types = () => [
      ...new Set(read.filter(({ key }) => key === ride.id).map(({ properties }) => properties.ce_type)),
    ];
    await until(() => types().length >= 6, 'its events', LIMIT_MS);
    t.same(
      types(),
      ['requested', 'offered', 'assigned', 'driver_arrived', 'started', 'completed'].map(
        (type) => `ride.v1.trip.${type}`,
      ),
    );
  });
});
t.end();

async function temporary(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-pulsar-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
