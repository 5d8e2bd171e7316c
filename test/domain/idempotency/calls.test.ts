/** Calls under an idempotency key over a real store: one does the work, whoever repeats it is told the same, also after a crash. */
import t, { type Test } from 'tap';
import { type Answer, type CallRecord, callCollection, createCalls } from '../../../src/domain/idempotency/calls.ts';
import type { Store } from '../../../src/ports/store.ts';
import { createStoreAt } from '../../conformance/store/place.ts';
import { ownStore } from '../../servers/own-store.ts';
import { type ManualClock, manualClock } from '../shared.ts';

const ANSWER: Answer = { status: 200, headers: { etag: '"2"' }, body: '{"version":2}' };
const KEY = { id: 'idem:a', bodyHash: 'one' };
const OTHER_BODY = { ...KEY, bodyHash: 'two' };

async function place(t: Test) {
  const where = await ownStore(t);
  const stores: Store[] = [];
  t.teardown(async () => {
    await Promise.all(stores.map((store) => store.close()));
  });
  const clock = manualClock();
  return {
    clock,
    /** A node on the one store. */
    async node() {
      const store = await createStoreAt(where);
      stores.push(store);
      const records = store.collection(callCollection);
      await store.open();
      let repeats = 0;
      const calls = createCalls(records, clock, 'test', { repeated: () => void repeats++ });
      return { ...calls, records, store, repeats: () => repeats };
    },
  };
}

const claimOf = (begun: unknown): CallRecord => (begun as { claim: CallRecord }).claim;

t.test('of many who come at once, on two nodes, one does the work, and all are told what he was', async (t) => {
  const { node } = await place(t);
  const nodes = [await node(), await node()];
  const begun = await Promise.all(Array.from({ length: 10 }, (_, n) => nodes[n % 2]!.begin(KEY)));
  const claims = begun.filter((one) => one !== 'under_way');
  t.equal(claims.length, 1);
  for (const one of nodes) t.equal(await one.again(KEY), 'under_way');
  await t.rejects(nodes[0]!.again(OTHER_BODY), { code: 'RIDE_IDEMPOTENCY_MISMATCH', field: 'Idempotency-Key' });
  await nodes[1]!.keep(claimOf(claims[0]), ANSWER);
  for (const one of nodes) {
    t.same(await one.again(KEY), { answer: ANSWER });
    t.equal(one.repeats(), 1);
    await t.rejects(one.again(OTHER_BODY), { code: 'RIDE_IDEMPOTENCY_MISMATCH' });
  }
  await nodes[0]!.store.close();
  const restarted = await node();
  t.equal(await restarted.begin(KEY), 'under_way');
  t.same(await restarted.again(KEY), { answer: ANSWER }, 'a restart forgets nothing');
});

t.test('a key of which nothing came is free, for any body', async (t) => {
  const { node } = await place(t);
  const one = await node();
  await one.free(claimOf(await one.begin(KEY)));
  t.ok(claimOf(await one.again(OTHER_BODY)), 'who waited for it has it');
});

t.test('a call whose node was killed is done by one of those who repeat it', async (t) => {
  const { node, clock } = (await place(t)) as { node: Awaited<ReturnType<typeof place>>['node']; clock: ManualClock };
  const nodes = [await node(), await node()];
  const lost = claimOf(await nodes[0]!.begin(KEY));
  clock.add(9999);
  t.equal(await nodes[1]!.again(KEY), 'under_way', 'it may still be at work');
  clock.add(1);
  await t.rejects(nodes[1]!.again(OTHER_BODY), { code: 'RIDE_IDEMPOTENCY_MISMATCH' }, 'the key is bound to its body');
  const begun = await Promise.all(Array.from({ length: 6 }, (_, n) => nodes[n % 2]!.again(KEY)));
  const [mine, ...more] = begun.filter((one) => one !== 'under_way');
  t.same(more, [], 'one of them');
  const second = { ...ANSWER, body: 'of the second' };
  await nodes[1]!.keep(claimOf(mine), second);
  // The first was not dead but slow.
  await nodes[0]!.keep(lost, ANSWER);
  await nodes[0]!.free(lost);
  t.same(await nodes[0]!.again(KEY), { answer: second }, 'what was answered for good stays');
});

t.end();
