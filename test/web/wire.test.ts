/** The page reads what the protobuf library writes, defaults left out and 64-bit integers as strings included. */
import { create, fromJsonString, type MessageInitShape, toJsonString } from '@bufbuild/protobuf';
import t from 'tap';
import { ClientEnvelopeSchema, ServerEnvelopeSchema } from '../../src/realtime/generated/ride/v1/ride_pb.js';
import { wire } from './modules.ts';

const write = (init: MessageInitShape<typeof ServerEnvelopeSchema>) =>
  toJsonString(ServerEnvelopeSchema, create(ServerEnvelopeSchema, init), { useProtoFieldName: true });

t.test('zero is a place: positions at the equator and Greenwich', (t) => {
  const frame = write({
    topic: 'city:x',
    sentAtMs: 1_700_000_000_123n,
    payload: {
      case: 'zoneBroadcast',
      value: {
        city: 'x',
        positions: [
          { driverId: 'd1', lat: 0, lng: 0, status: 'available', ageMs: 0n },
          {
            ...{ driverId: 'd2', lat: -1.5, lng: 36.8, headingDeg: 0, status: 'on_trip', ageMs: 61_500n },
            ...{ accuracyM: 0, source: 'rest', stale: true, staleReason: 'no_signal' },
          },
        ],
      },
    },
  });
  t.notMatch(frame, /"lat":0/, 'protobuf JSON leaves the zero out');
  const envelope = wire.readEnvelope(frame);
  t.equal(envelope.kind, 'zone_broadcast');
  t.equal(envelope.sentAtMs, 1_700_000_000_123);
  t.same(envelope.body.positions, [
    {
      ...{ driverId: 'd1', lat: 0, lng: 0, headingDeg: null, status: 'available', ageMs: 0 },
      ...{ accuracyM: null, source: '', staleReason: '' },
    },
    {
      ...{ driverId: 'd2', lat: -1.5, lng: 36.8, headingDeg: 0, status: 'on_trip', ageMs: 61_500 },
      ...{ accuracyM: 0, source: 'rest', staleReason: 'no_signal' },
    },
  ]);
  t.end();
});

t.test('a broadcast without positions, an empty ack and a trip event', (t) => {
  t.same(wire.readEnvelope(write({ payload: { case: 'zoneBroadcast', value: {} } })).body.positions, []);
  t.same(wire.readEnvelope(write({ corrId: 'c', payload: { case: 'ack', value: {} } })), {
    kind: 'ack',
    corrId: 'c',
    topic: '',
    eventId: '',
    sentAtMs: 0,
    body: { serverTimeMs: 0 },
  });
  const value = { tripId: 't', seq: 3n, type: 'assigned', status: 'assigned', version: 4n, driverId: 'd', atMs: 99n };
  t.match(wire.readEnvelope(write({ payload: { case: 'tripEvent', value } })).body, {
    ...value,
    seq: 3,
    version: 4,
    atMs: 99,
    reason: '',
    riderId: '',
  });
  t.end();
});

t.test('a kind without use here is other; what is no envelope throws', (t) => {
  t.equal(wire.readEnvelope(write({ payload: { case: 'presence', value: { userId: 'u' } } })).kind, 'other');
  for (const bad of ['', '{', '[]', 'null', '3']) t.throws(() => wire.readEnvelope(bad), SyntaxError, bad);
  t.end();
});

t.test('what the page writes, the protobuf library reads', (t) => {
  const subscribe = fromJsonString(ClientEnvelopeSchema, wire.writeEnvelope('c1', 'subscribe', { topic: 'city:x' }));
  t.match(subscribe, { corrId: 'c1', payload: { case: 'subscribe', value: { topic: 'city:x' } } });
  const beat = wire.writeEnvelope('c2', 'heartbeat', { client_time_ms: '123', app_version: 'map' });
  const heartbeat = fromJsonString(ClientEnvelopeSchema, beat);
  t.match(heartbeat, { payload: { case: 'heartbeat', value: { clientTimeMs: 123n, appVersion: 'map' } } });
  t.end();
});

t.test('a trip of the REST API', (t) => {
  const trip = wire.readTrip({
    id: 't',
    status: 'requested',
    version: 1,
    event_seq: 1,
    rider_id: 'r',
    driver_id: null,
    pickup: { lat: 0, lng: 0 },
    dropoff: { lat: 1, lng: '2' },
    created_at: 5,
    updated_at: 6,
  });
  t.match(trip, { id: 't', seq: 1, driverId: '', pickup: { lat: 0, lng: 0 }, dropoff: null, vehicleClass: '' });
  t.end();
});
