/** The end of an alert: an operator closes it, and whoever calls for help then, or just then, has one that somebody looks at. */
import { fromBinary } from '@bufbuild/protobuf';
import t from 'tap';
import { ServerEnvelopeSchema, type SosAlert } from '../../../src/realtime/generated/ride/v1/ride_pb.js';
import { until } from '../../until.ts';
import { CENTER, manualClock, person, type Stack, shared, stack } from '../stack.ts';

const input = { tripId: '', position: CENTER, note: 'help' };
const desk = person('dispatcher', 'desk');
const rider = person('rider', 'rider');

async function told(s: Stack): Promise<string[]> {
  const { messages } = await s.bus.history('sos:alerts', { epoch: '', offset: 0 }, 1000);
  const alerts = messages.map(({ payload }) => fromBinary(ServerEnvelopeSchema, payload).payload.value as SosAlert);
  return alerts.map(({ alertId, status }) => `${alertId} ${status}`);
}

t.test('resolved: told, no longer tracked, and the next call is another alert', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  const id = await s.sos.trigger(rider, input);
  await s.idle();
  t.equal(await s.redis.exists(`sos:tracking:${id}`), 1);
  clock.add(1000);
  const resolved = await s.sos.resolve(desk, id, 'all is well', 1);
  const facts = { status: 'resolved', resolvedBy: 'desk', resolution: 'all is well', version: 2 };
  t.hasStrict(resolved, { ...facts, resolvedAt: clock.now() });
  t.same(await s.sos.resolve(person('admin', 'another'), id), resolved, 'a repeat, whoever says it');
  await s.idle();
  t.same(await told(s), [`${id} active`, `${id} resolved`]);
  t.equal(await s.redis.exists(`sos:tracking:${id}`), 0);
  t.same(
    (await s.sos.list({ status: 'active', pageSize: 10 })).items.map((alert) => alert.id),
    [],
  );
  const next = await s.sos.trigger(rider, input);
  t.not(next, id);
  t.equal((await s.sos.get(next)).status, 'active');
});

t.test('refusals', async (t) => {
  const s = await stack(t, await shared(t));
  await t.rejects(s.sos.resolve(desk, 'sos_none'), { code: 'RIDE_NOT_FOUND' });
  const id = await s.sos.trigger(rider, input);
  const stale = s.sos.resolve(desk, id, undefined, 7);
  await t.rejects(stale, { code: 'RIDE_PRECONDITION_FAILED', facts: { version: 1, status: 'active' } });
});

t.test(
  'calls and resolutions at once on two nodes: no call ends up at an alert that was closed before it',
  async (t) => {
    const place = await shared(t);
    const [a, b] = [await stack(t, place), await stack(t, place)];
    for (let round = 0; round < 15; round++) {
      const first = await a.sos.trigger(rider, input);
      const calls = Array.from({ length: 6 }, (_, i) => (i % 2 ? a : b).sos.trigger(rider, input));
      await Promise.all([b.sos.resolve(desk, first), a.sos.resolve(desk, first), ...calls]);
      // The resolution has been answered: whatever its reaction has come to, this call is heard.
      const later = await b.sos.trigger(rider, input);
      t.not(later, first);
      t.equal((await a.sos.get(later)).status, 'active');
      t.equal((await a.sos.list({ status: 'active', pageSize: 10 })).items.length, 1, 'one alert is open');
      await a.sos.resolve(desk, later);
    }
    await Promise.all([a.idle(), b.idle()]);
    const lines = await told(a);
    t.equal(new Set(lines).size, lines.length, 'nothing was told twice');
    t.equal(lines.filter((line) => line.endsWith('active')).length, lines.length / 2);
  },
);

t.test('killed after the write: another node tells it and lets go of the rest', async (t) => {
  const place = await shared(t);
  const s = await stack(t, place);
  const id = await s.sos.trigger(rider, input);
  await s.idle();
  const dying = await stack(t, place, {
    wrapPorts: (ports) => ({
      ...ports,
      publisher: { ...ports.publisher, publishOrdered: () => Promise.reject(new Error('killed')) },
    }),
  });
  await dying.sos.resolve(desk, id);
  await dying.idle();
  t.same(await told(s), [`${id} active`]);
  await until(async () => {
    await s.sweep();
    return (await told(s)).length === 2 && (await s.redis.exists(`sos:tracking:${id}`)) === 0;
  }, 'the sweep of the other node');
});
t.end();
