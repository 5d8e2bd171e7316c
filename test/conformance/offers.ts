/** The promises of the port of open offers as one suite, run on every kind of Redis. */
import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import type { Offer } from '../../src/domain/offers/rules.ts';
import type { Offers } from '../../src/ports/offers.ts';
import { until } from '../until.ts';

export interface OffersPlace {
  node(): Offers;
  /** The hash `job:offer:{offerId}`; empty when there is none. */
  stored(offerId: string): Promise<Record<string, string>>;
  /** Milliseconds that a key of Redis has left; -1 when it has no end, -2 when it is not there. */
  lifeMs(key: string): Promise<number>;
}

type Case = (t: Test, place: OffersPlace) => Promise<void>;

const LONG_MS = 60_000;

const cases: Record<string, Case> = {
  'of many who ask at once, on two nodes, one gets the driver': async (t, place) => {
    const nodes = [place.node(), place.node()];
    const driverId = randomUUID();
    const asked = Array.from({ length: 40 }, (_, i) => ({ node: nodes[i % 2]!, offerId: `offer-${i}` }));
    const got = await Promise.all(asked.map(({ node, offerId }) => node.reserve(driverId, offerId, LONG_MS)));
    t.equal(got.filter(Boolean).length, 1);
  },

  'only the offer that holds a driver frees him': async (t, place) => {
    const offers = place.node();
    const driverId = randomUUID();
    t.equal(await offers.reserve(driverId, 'a', LONG_MS), true);
    await offers.release(driverId, 'b');
    t.equal(await offers.reserve(driverId, 'b', LONG_MS), false);
    await offers.release(driverId, 'a');
    t.equal(await offers.reserve(driverId, 'b', LONG_MS), true);
  },

  'a reservation ends by itself': async (t, place) => {
    const offers = place.node();
    const driverId = randomUUID();
    t.equal(await offers.reserve(driverId, 'a', 30), true);
    t.ok((await place.lifeMs(`driver:offered:${driverId}`)) <= 30);
    await until(() => offers.reserve(driverId, 'b', LONG_MS), 'the first one has run out');
    t.equal(await offers.reserve(driverId, 'c', LONG_MS), false);
  },

  'an open offer is read under its key until it is removed or runs out': async (t, place) => {
    const offers = place.node();
    const offer = { id: randomUUID(), driverId: 'driver-1', expiresAt: 1_700_000_000_000, etaS: 120 } as Offer;
    await offers.save('trip-1', offer, LONG_MS);
    t.same(await place.stored(offer.id), {
      offerId: offer.id,
      orderId: 'trip-1',
      porterId: 'driver-1',
      expiresAt: '1700000000000',
      etaS: '120',
    });
    const leftMs = await place.lifeMs(`job:offer:${offer.id}`);
    t.ok(leftMs > 0 && leftMs <= LONG_MS, `as long as the offer: ${leftMs}`);
    await offers.remove(offer.id);
    t.same(await place.stored(offer.id), {});
    await offers.save('trip-1', offer, 30);
    await until(async () => Object.keys(await place.stored(offer.id)).length === 0, 'it ran out');
  },
};

export async function offersConformance(t: Test, name: string, place: OffersPlace): Promise<void> {
  for (const [title, body] of Object.entries(cases)) await t.test(`${name}: ${title}`, (t) => body(t, place));
}
