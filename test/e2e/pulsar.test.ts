/** A server whose events leave for Pulsar; while Pulsar is away they wait on the disk, also over a restart of the server, and in the store where that is full. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import t from 'tap';
import { claimSpools } from '../../src/adapters/spool/folders.ts';
import { DomainEventSchema } from '../../src/realtime/generated/ride/v1/events_pb.js';
import { recordOf } from '../adapters/spool/records.ts';
import { readMetrics, sum } from '../clients/metrics.ts';
import { build, type TestServer } from '../helper.ts';
import { quiet } from '../realtime/node.ts';
import { assignedRide } from '../scene.ts';
import { startPulsar } from '../servers/pulsar.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';

const LIMIT_MS = 30_000;

t.test('events leave for Pulsar, and wait for it', async (t) => {
  const pulsar = await startPulsar(t, 'pulsar-token');
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-pulsar-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const env = {
    REDIS_URL: (await startRedis(t)).url,
    DATA_DIR: folder,
    SQLITE_FILE: join(folder, 'store.sqlite'),
    PERSISTENCE_SINK: 'pulsar',
    PULSAR_URL: pulsar.url,
    PULSAR_TOKEN: 'pulsar-token',
    SINK_TIMEOUT: '1s',
  };
  const s = await build(t, { env });
  const seqsOf = (id: string): number[] => {
    const events = pulsar.taken
      .filter(({ key, topic }) => key === id && topic === 'public/default/order-events')
      .map(({ payload }) => fromBinary(DomainEventSchema, payload));
    return [...new Set(events.map(({ seq }) => Number(seq)))];
  };
  const waiting = async (node: TestServer) => sum(await readMetrics(node.at.metrics), 'realtime_sink_spool_events');

  const ride = await assignedRide(t, s);
  await until(() => seqsOf(ride.id).length === 3, 'its events', LIMIT_MS);
  t.same(seqsOf(ride.id), [1, 2, 3]);
  const first = pulsar.taken.find(({ key }) => key === ride.id);
  t.match(first!.properties, { ce_type: 'ride.v1.trip.requested', ce_source: 'ridestream/test' });

  await pulsar.stop();
  for (const step of ['arrive', 'start'] as const) await ride.step(step);
  await until(async () => (await waiting(s)) >= 2, 'the events on the disk', LIMIT_MS);
  await s.stop();
  const again = await build(t, { env });
  t.ok((await waiting(again)) >= 2, 'a new process finds them');
  await pulsar.start();
  await until(async () => (await waiting(again)) === 0, 'the disk to be empty', LIMIT_MS);
  t.same(seqsOf(ride.id), [1, 2, 3, 4, 5]);
});

t.test(
  'the disk is full while Pulsar is away: rides go on, the store keeps their events, and none is missing in the end',
  async (t) => {
    const pulsar = await startPulsar(t);
    const folder = await mkdtemp(join(tmpdir(), 'ridestream-pulsar-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const maxBytes = 1024 * 1024;
    // All but a few hundred bytes, left behind by a process before.
    const left = { ...recordOf('filler', 1, maxBytes - 500), topic: 'chat-events' };
    const { own } = await claimSpools(join(folder, 'spool'), { maxBytes, segmentBytes: maxBytes, log: quiet });
    await own.spool.append([left]);
    await own.spool.close();
    own.lock.release();
    await pulsar.stop();
    const s = await build(t, {
      env: {
        DATA_DIR: folder,
        PERSISTENCE_SINK: 'pulsar',
        PULSAR_URL: pulsar.url,
        SINK_TIMEOUT: '1s',
        SINK_SPOOL_BYTES: String(maxBytes),
        SWEEP_INTERVAL: '500ms',
        SWEEP_AGE: '500ms',
        HEARTBEAT_TIMEOUT: '2m',
      },
    });
    const value = async (name: string, labels = {}) => sum(await readMetrics(s.at.metrics), name, labels);
    const ride = await assignedRide(t, s);
    for (const step of ['arrive', 'start', 'complete'] as const) await ride.step(step);
    const refused = () => value('realtime_sink_events_total', { outcome: 'refused' });
    await until(async () => (await refused()) >= 6, 'the disk to refuse them', LIMIT_MS);
    t.ok((await value('realtime_sink_spool_bytes')) <= maxBytes);
    await pulsar.start();
    const seqs = () => {
      const own = pulsar.taken.filter(({ key, topic }) => key === ride.id && topic === 'public/default/order-events');
      return [...new Set(own.map(({ payload }) => Number(fromBinary(DomainEventSchema, payload).seq)))];
    };
    await until(() => seqs().length >= 6, 'the events of the ride', LIMIT_MS);
    t.same(seqs(), [1, 2, 3, 4, 5, 6], 'in their order');
    t.ok(
      pulsar.taken.some(({ key }) => key === 'filler'),
      'and what was on the disk',
    );
  },
);
t.end();
