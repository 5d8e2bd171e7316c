/** The trace of a call goes with its events: through what they lead to, over a crash to another node, and to nobody who is not meant. */
import t from 'tap';
import { createTracing } from '../../../src/adapters/system/tracing.ts';
import { tracedLog } from '../../../src/domain/outbox/tracing.ts';
import type { LeavingEvent } from '../../../src/ports/event-sink.ts';
import type { OutboundMessages } from '../../../src/ports/publisher.ts';
import type { Trace, Tracing } from '../../../src/ports/tracing.ts';
import { until } from '../../until.ts';
import { onDuty, request, type Shared, type Stack, shared, stack } from '../stack.ts';

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const trace: Trace = { corrId: 'call-1', traceparent };

/** A node that notes within which trace each event leaves. */
async function noting(t: Parameters<typeof stack>[0], place: Shared, isDying = false) {
  const left: { event: LeavingEvent; trace: Trace | undefined }[] = [];
  let tracing: Tracing | undefined;
  const s: Stack = await stack(t, place, {
    wrapPorts: (ports) => {
      tracing = ports.tracing;
      const { publisher } = ports;
      return {
        ...ports,
        publisher: isDying ? { ...publisher, publishOrdered: () => Promise.reject(new Error('killed')) } : publisher,
        sink: {
          async record(event) {
            // What befalls a driver leaves whenever it may; this is about trips.
            if (event.kind !== 'driver_changed')
              left.push({ event: event as LeavingEvent, trace: ports.tracing.current() });
          },
          sample() {},
        },
      };
    },
  });
  return { s, left, tracing: tracing! };
}

t.test(
  'what a call changes, and what follows from it, leaves with its trace; what nobody called for with none',
  async (t) => {
    const { s, left, tracing } = await noting(t, await shared(t));
    await onDuty(s, 'driver');
    const { id } = await tracing.within(trace, () => request(s, 'rider'));
    await until(() => left.some(({ event }) => event.type === 'trip.offered'), 'the offer to leave');
    t.same(
      left.map(({ event, trace }) => [event.type, trace?.corrId]),
      [
        ['trip.requested', 'call-1'],
        ['trip.offered', 'call-1'],
      ],
      'the offer follows from the request',
    );
    t.equal(tracing.current(), undefined, 'and nothing of it stays behind');
    await s.trips.command(id, { type: 'cancel', actorId: 'rider', role: 'rider' });
    await s.idle();
    t.equal(left.at(-1)!.event.type, 'trip.cancelled');
    t.equal(left.at(-1)!.trace, undefined);
    t.notMatch(JSON.stringify(await s.trips.find(id)), /call-1/, 'it is of the event and not of the trip');
  },
);

t.test('searches that are made together: each offer belongs to the call of its own trip', async (t) => {
  const { s, left, tracing } = await noting(t, await shared(t));
  const calls = Array.from({ length: 6 }, (_, n) => `call-${n}`);
  for (const [n] of calls.entries()) await onDuty(s, `driver-${n}`, 20 * n);
  const made = await Promise.all(
    calls.map((corrId, n) =>
      n % 2 ? request(s, `rider-${n}`) : tracing.within({ corrId }, () => request(s, `rider-${n}`)),
    ),
  );
  const offered = () => left.filter(({ event }) => event.type === 'trip.offered');
  await until(() => offered().length === calls.length, 'all offers to leave');
  const callOf = new Map(offered().map(({ event, trace }) => [event.key, trace?.corrId]));
  t.same(
    made.map(({ id }) => callOf.get(id)),
    calls.map((corrId, n) => (n % 2 ? undefined : corrId)),
  );
});

t.test('killed between the write and what follows: the other node goes on with the trace', async (t) => {
  const place = await shared(t);
  const dying = await noting(t, place, true);
  const { s, left } = await noting(t, place);
  const { id } = await dying.tracing.within(trace, () => request(dying.s, 'rider'));
  await dying.s.idle();
  t.same(dying.left, []);
  await until(async () => {
    await s.sweep();
    return left.length > 0;
  }, 'the event to leave from the other node');
  const [{ event, trace: found }] = left as [(typeof left)[0]];
  t.same(found, trace);
  t.equal(event.key, id);
  const { event: told } = event.message as OutboundMessages['trip_event'];
  t.notOk('trace' in told, 'and is told without it');
});

t.test('of two calls on one document each event keeps its own, whoever relays them', async (t) => {
  const place = await shared(t);
  const dying = await noting(t, place, true);
  const { s, left, tracing } = await noting(t, place);
  const { id } = await dying.tracing.within(trace, () => request(dying.s, 'rider'));
  await dying.s.idle();
  const cancel = { type: 'cancel', actorId: 'rider', role: 'rider' } as const;
  await tracing.within({ corrId: 'call-2' }, () => s.trips.command(id, cancel));
  await until(() => left.length >= 2, 'both to leave');
  t.same(
    left.slice(0, 2).map(({ event, trace }) => [event.type, trace?.corrId]),
    [
      ['trip.requested', 'call-1'],
      ['trip.cancelled', 'call-2'],
    ],
  );
});

t.test('a line of the log names what it is about', async (t) => {
  const tracing = createTracing();
  const lines: object[] = [];
  const write = (facts: object): void => void lines.push(facts);
  const log = tracedLog({ debug: write, info: write, warn: write, error: write }, tracing);
  log.info({ a: 1 }, 'x');
  tracing.within(trace, () => log.error({ a: 2 }, 'x'));
  tracing.within(trace, () => log.warn({ corr_id: 'own' }, 'x'));
  const { corrId: corr_id } = trace;
  const trace_id = traceparent.slice(3, 35);
  t.same(lines, [{ a: 1 }, { corr_id, trace_id, a: 2 }, { corr_id: 'own', trace_id }]);
});
t.end();
