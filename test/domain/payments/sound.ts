/** What has to be so when another process has brought everything to an end that a killed one had begun. */
import { fromBinary } from '@bufbuild/protobuf';
import type { Test } from 'tap';
import { ServerEnvelopeSchema } from '../../../src/realtime/generated/ride/v1/ride_pb.js';
import type { Stack } from '../stack.ts';

export const counted = (list: readonly { seq: number }[] = []): boolean => list.every(({ seq }, i) => seq === i + 1);

/** Every event of a trip or departure reached its topic, once and in order. */
export async function toldOnce(t: Test, s: Stack, id: string, history: readonly { id: string }[]): Promise<void> {
  const { messages } = await s.bus.history(`trip:${id}`, { epoch: '', offset: 0 }, 1000);
  const told = messages.map(({ payload }) => fromBinary(ServerEnvelopeSchema, payload).eventId);
  t.same(
    told,
    history.map(({ id }) => id),
    'each was told once, in order',
  );
}

/** No hold, no event and no driver is left waiting. @param paymentOf for the message */
export async function nothingLeft(t: Test, s: Stack, paymentOf: string): Promise<void> {
  const holds = (await s.provider.openHolds(Number.MAX_SAFE_INTEGER, 100)).items;
  t.same(holds, [], `no hold is left of ${paymentOf}`);
  for (const collection of [s.collections.trips, s.collections.payments])
    t.same(await collection.pending(Number.MAX_SAFE_INTEGER, 10), [], 'nothing waits to be relayed');
  t.same((await s.drivers.claimed(10)).items, [], 'no driver is bound');
}
