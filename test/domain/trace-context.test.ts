/** W3C's trace context as it comes: what is valid goes on as it is, of the rest nothing. */
import fc from 'fast-check';
import t from 'tap';
import { traceFacts, traceIdOf, traceOf } from '../../src/domain/trace-context.ts';

const id = '0af7651916cd43dd8448eb211c80319c';
const good = `00-${id}-b7ad6b7169203331-01`;

t.test('the cases of the recommendation', async (t) => {
  t.equal(traceIdOf(good), id);
  t.equal(traceIdOf(`cc-${id}-b7ad6b7169203331-01-what-the-future-will-be-like`), id, 'a later version may go on');
  for (const bad of [
    `${good}-more`,
    `ff-${id}-b7ad6b7169203331-01`,
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `00-${id}-${'0'.repeat(16)}-01`,
    good.toUpperCase(),
    `00-${id}-b7ad6b716920333-01`,
    `00-${id}-b7ad6b7169203331`,
    ` ${good}`,
    `cc-${id}-b7ad6b7169203331-01.more`,
    `cc-${id}-b7ad6b7169203331-01-${'x'.repeat(300)}`,
    '',
    undefined,
    [good],
    Buffer.from(good),
  ])
    t.equal(traceIdOf(bad), null, String(bad));
});

t.test('the state goes with a valid parent only, and only while it is fit for a header', async (t) => {
  t.same(traceOf(good, 'vendor=1'), { traceparent: good, tracestate: 'vendor=1' });
  for (const unfit of [undefined, '', 'x'.repeat(513), 'a\nb', 'ä', ['a']])
    t.same(traceOf(good, unfit), { traceparent: good });
  t.same(traceOf('rubbish', 'vendor=1'), {});
  t.same(traceFacts({ corrId: 'c', traceparent: good }), { corr_id: 'c', trace_id: id });
  t.same(traceFacts({ corrId: 'c' }), { corr_id: 'c' });
  t.same(traceFacts(undefined), {});
});

t.test('whatever comes, what goes on is what came', async (t) => {
  const text = fc.oneof(fc.string(), fc.constant(good), fc.stringMatching(/^[0-9a-f-]{40,60}$/));
  const property = fc.property(text, text, (parent, state) => {
    const trace = traceOf(parent, state);
    if (trace.traceparent !== undefined && trace.traceparent !== parent) throw new Error('changed');
    if (trace.tracestate !== undefined && trace.traceparent === undefined) throw new Error('a state alone');
  });
  t.doesNotThrow(() => fc.assert(property));
});
t.end();
