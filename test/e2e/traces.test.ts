/** W3C trace context from whoever calls, by REST, gRPC and WebSocket, to the headers of the events that leave. */
import { fromBinary } from '@bufbuild/protobuf';
import t from 'tap';
import { DomainEventSchema } from '../../src/realtime/generated/ride/v1/events_pb.js';
import { connect } from '../clients/peer.ts';
import { build } from '../helper.ts';
import { lookingDriver, member, north, somewhere } from '../scene.ts';
import { startPulsar } from '../servers/pulsar.ts';
import { until } from '../until.ts';

const LIMIT_MS = 30_000;
const traceOf = (n: number) => `00-${String(n).repeat(32)}-${String(n).repeat(16)}-01`;

t.test('each event leaves with the trace of the call that it came from', async (t) => {
  const pulsar = await startPulsar(t, 'pulsar-token');
  const s = await build(t, {
    env: { PERSISTENCE_SINK: 'pulsar', PULSAR_URL: pulsar.url, PULSAR_TOKEN: 'pulsar-token' },
  });
  const at = somewhere();
  const rider = await member(s, 'rider');
  const driver = await lookingDriver(t, s, at);
  const body = { pickup: at, dropoff: north(at, 3000) };
  const headers = { traceparent: traceOf(1), tracestate: 'vendor=1', 'x-correlation-id': 'call-1' };
  const made = await s.rest('POST', '/api/v1/trips', rider.token, body, headers);
  const { id } = made.body;
  t.equal(made.headers.get('x-correlation-id'), 'call-1');
  const { job_offer: offer } = await driver.peer.inbox.find((m) => m.job_offer?.trip_id === id, 'offer');

  const grpc = await connect(t, s.at, 'grpc', driver.token, { headers: { traceparent: traceOf(2) } });
  const accept = { offer_reply: { trip_id: id, offer_id: offer.offer_id, accept: true } };
  t.ok((await grpc.ask(accept)).ack, 'accepted');
  const socket = await connect(t, s.at, 'websocket-json', rider.token, { headers: { traceparent: traceOf(3) } });
  await socket.ask({ chat_send: { trip_id: id, message_id: 'm', text: 'Here I am' } });
  const unnamed = await s.rest('POST', `/api/v1/trips/${id}/arrive`, driver.token, undefined, {
    traceparent: traceOf(4),
  });
  t.equal(unnamed.headers.get('x-correlation-id'), '4'.repeat(32), 'who traces his calls finds ours by the same id');
  const wrong = await s.rest('POST', `/api/v1/trips/${id}/start`, driver.token, undefined, { traceparent: 'rubbish' });
  t.match(wrong.headers.get('x-correlation-id'), /^[0-9a-f]{32}$/);

  const leftBy = (type: string) =>
    pulsar.taken.find(({ key, payload }) => key === id && fromBinary(DomainEventSchema, payload).type === type);
  const types = ['trip.requested', 'trip.offered', 'trip.assigned', 'chat.sent', 'trip.driver_arrived', 'trip.started'];
  await until(() => types.every((type) => leftBy(type) !== undefined), 'the events to leave', LIMIT_MS);
  const parents = types.map((type) => leftBy(type)!.properties.traceparent ?? '');
  t.same(parents, [traceOf(1), traceOf(1), traceOf(2), traceOf(3), traceOf(4), '']);
  t.hasStrict(leftBy('trip.requested')!.properties, {
    ce_correlationid: 'call-1',
    ce_traceparent: traceOf(1),
    tracestate: 'vendor=1',
  });
  t.equal(leftBy('trip.driver_arrived')!.properties.ce_correlationid, '4'.repeat(32));
  t.ok(leftBy('trip.assigned')!.properties.ce_correlationid, 'the corr_id of the message');
});
t.end();
