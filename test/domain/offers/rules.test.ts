/** However an open offer ends, each of those asked is told once, and of his own part of it. */
import fc from 'fast-check';
import t from 'tap';
import {
  type Asked,
  askedOf,
  declined,
  lapsed,
  type Offer,
  offerFor,
  taken,
  without,
} from '../../../src/domain/offers/rules.ts';

const asked = fc.record({
  driverId: fc.string({ minLength: 1 }),
  lat: fc.double({ min: -90, max: 90, noNaN: true }),
  lng: fc.double({ min: -180, max: 180, noNaN: true }),
  etaS: fc.nat(),
  distanceM: fc.nat(),
});
const offers = fc.uniqueArray(asked, { minLength: 1, maxLength: 5, selector: ({ driverId }) => driverId }).map(
  ([first, ...others]): Offer => ({
    ...first!,
    id: 'offer',
    expiresAt: 1,
    ...(others.length > 0 ? { others } : {}),
  }),
);
/** An offer, and one of those asked. */
const cases = offers.chain((offer) => fc.tuple(fc.constant(offer), fc.constantFrom(...askedOf(offer))));
const partOf = (offer: Offer, driverId: string): Asked =>
  [offer, ...(offer.others ?? [])].find((one) => one.driverId === driverId)!;

t.test('to one of those asked it is his alone', async () => {
  fc.assert(
    fc.property(cases, ([offer, driverId]) => {
      const { others, ...his } = offerFor(offer, driverId);
      const { lat, lng, etaS, distanceM } = partOf(offer, driverId);
      t.equal(others, undefined);
      t.same(his, { id: offer.id, expiresAt: offer.expiresAt, driverId, lat, lng, etaS, distanceM });
    }),
  );
});

t.test('without one of them it is as it was to the others, and nothing without the last', async () => {
  fc.assert(
    fc.property(cases, ([offer, driverId]) => {
      const rest = without(offer, driverId);
      t.same(rest && askedOf(rest), askedOf(offer).length > 1 ? askedOf(offer).filter((id) => id !== driverId) : null);
      for (const id of rest ? askedOf(rest) : []) t.same(offerFor(rest!, id), offerFor(offer, id));
    }),
  );
});

t.test('one has it, and then nobody is left who could', async () => {
  fc.assert(
    fc.property(cases, ([offer, driverId]) => {
      const facts = taken(offer, driverId, 7);
      t.same(facts.map((fact) => fact.driverId).sort(), [...askedOf(offer)].sort());
      const last = facts.pop();
      t.match(last, { type: 'assigned', driverId, actorId: driverId, at: 7, offer: offerFor(offer, driverId) });
      for (const fact of facts) t.match(fact, { type: 'offer_withdrawn', actorId: driverId });
    }),
  );
});

t.test('it closes with the last of those asked, and not before', async () => {
  fc.assert(
    fc.property(offers, (offer) => {
      const facts = lapsed(offer, 'system', 7);
      t.same(
        facts.map((fact) => fact.driverId),
        askedOf(offer),
      );
      t.equal(facts.pop()!.type, 'offer_expired');
      for (const { type } of facts) t.equal(type, 'offer_narrowed');
    }),
  );
});

t.test('who says no says it for himself', async () => {
  fc.assert(
    fc.property(cases, ([offer, driverId]) => {
      const type = offer.others ? 'offer_narrowed' : 'offer_declined';
      const fact = { type, at: 7, actorId: driverId, driverId, offer: offerFor(offer, driverId) };
      t.same(declined(offer, driverId, undefined, 7), fact);
      t.same(declined(offer, driverId, 'too far', 7), { ...fact, reason: 'too far' });
    }),
  );
});
