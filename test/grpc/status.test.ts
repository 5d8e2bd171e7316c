/** A refusal that ends a call says in trailers what the problem document says on REST. */
import t from 'tap';
import { RideError } from '../../src/errors.ts';
import { statusOf } from '../../src/grpc/status.ts';

t.test('trailers carry what is known, as printable ASCII, and leave out the rest', async (t) => {
  const facts = { status: 'cancelled', driver_id: null, winner_version: 3 };
  const details = { field: 'offer_id', rule: 'an open offer – of his', retryAfterMs: 50, facts };
  const { code, details: said, metadata } = statusOf(new RideError('RIDE_OFFER_CLOSED', 'too late', details));
  t.same([code, said], [9, 'too late']);
  t.same(metadata!.getMap(), {
    'ride-code': 'RIDE_OFFER_CLOSED',
    'ride-field': 'offer_id',
    'ride-rule': 'an open offer ? of his',
    'ride-retry-after-ms': '50',
    'ride-facts': '{"status":"cancelled","winner_version":"3"}',
    'grpc-retry-pushback-ms': '50',
  });
  t.same(statusOf({ code: 'RIDE_DRAINING', message: 'later' }).metadata!.getMap(), { 'ride-code': 'RIDE_DRAINING' });
});
t.end();
