/** Answers that are written once are what the schema would have written each time. */
import fc from 'fast-check';
import Fastify from 'fastify';
import t from 'tap';
import { TripLocationSchema, toPositionWire } from '../../src/domain/locations/schemas.ts';
import type { Followed } from '../../src/domain/locations/service.ts';
import type { Position } from '../../src/ports/positions.ts';
import { JSON_TYPE, LocationAnswers } from '../../src/routes/location-answers.ts';

const optional = fc.option(fc.double({ min: 0, max: 500, noNaN: true }), { nil: undefined });
const text = fc.oneof(fc.string(), fc.constantFrom('"age_ms":7', '\\"age_ms":', 'd"age_ms', 'ä\n'));
const position = fc.record({
  driverId: text,
  tripId: text,
  lat: fc.double({ min: -90, max: 90, noNaN: true }),
  lng: fc.double({ min: -180, max: 180, noNaN: true }),
  speedMps: optional,
  headingDeg: optional,
  accuracyM: optional,
  recordedAt: fc.nat(),
  vehicleClass: fc.constant('standard'),
  city: text,
  source: text,
}) as fc.Arbitrary<Position>;

t.test('whatever the position, whatever its age', async (t) => {
  const app = Fastify();
  t.after(() => app.close());
  const answers = new LocationAnswers();
  let asked: Followed;
  app.get('/', { schema: { response: { 200: TripLocationSchema } } }, async (_request, reply) => {
    const { position, ...freshness } = asked;
    const { ageMs, stale } = freshness;
    const tripId = position.tripId;
    const written = reply.serializeInput({ ...toPositionWire({ ...position, ...freshness }), trip_id: tripId }, '200');
    const answer = answers.of(reply, tripId, asked);
    t.equal(answers.of(reply, tripId, { ...asked, ageMs: ageMs + 1 }), answer, 'written once');
    const other = answers.of(reply, tripId, { position, ageMs, stale: !stale, staleReason: 'background' });
    t.not(other.tag, answer.tag, 'stale or not is another answer');
    if (stale) t.not(answers.of(reply, tripId, { ...asked, staleReason: 'no_signal' }).tag, answer.tag, 'and why');
    t.equal(answer.at(ageMs), written);
    void reply.type(JSON_TYPE);
    return answer.at(ageMs);
  });
  await fc.assert(
    fc.asyncProperty(position, fc.nat(), fc.boolean(), async (position, ageMs, stale) => {
      asked = { position, ageMs, stale, ...(stale ? { staleReason: 'battery_low' } : {}) };
      const { statusCode, body, headers } = await app.inject('/');
      t.equal(statusCode, 200, body);
      t.equal(headers['content-type'], JSON_TYPE);
      t.equal(JSON.parse(body).age_ms, ageMs);
    }),
    { numRuns: 100 },
  );
});
