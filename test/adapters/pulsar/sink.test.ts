/** The sink on Pulsar, against a server of ours (test/servers/pulsar.ts); `script/pulsar-test` holds it against a real one. */
import t from 'tap';
import { createPulsarSink, type PulsarSinkOptions } from '../../../src/adapters/pulsar/sink.ts';
import { RecordsRefused, type SinkRecord } from '../../../src/ports/event-sink.ts';
import { type PulsarServer, startPulsar } from '../../servers/pulsar.ts';
import { recordOf } from '../spool/records.ts';

const open = ({ url }: PulsarServer, more: Partial<PulsarSinkOptions> = {}) =>
  createPulsarSink({ url, namespace: 'rides/live', timeoutMs: 2000, ...more });

const chat = (n: number): SinkRecord => ({ ...recordOf('b', n), topic: 'chat-events' });

t.test('a producer a topic, with key, properties and payload as they are', async (t) => {
  const server = await startPulsar(t);
  const sink = open(server);
  const records = [recordOf('a', 1), chat(1), recordOf('a', 2), recordOf('c', 1)];
  await sink.send(records);
  await sink.send([recordOf('a', 3)]);
  const orders = server.taken.filter(({ topic }) => topic === 'rides/live/order-events');
  t.same(
    orders.filter(({ key }) => key === 'a').map(({ properties }) => properties.ce_id),
    ['a/1', 'a/2', 'a/3'],
  );
  t.same(server.taken.find(({ key }) => key === 'b')?.topic, 'rides/live/chat-events');
  t.same(orders.find(({ key }) => key === 'c')?.payload, records[3]!.payload);
  t.equal(server.opened.length, 2, 'the sockets stay open');
  t.match(server.opened[0], '/ws/v2/producer/persistent/rides/live/order-events?');
  await sink.close();
});

t.test('the token is shown; without it there is no producer', async (t) => {
  const server = await startPulsar(t, 'secret');
  await t.rejects(open(server).send([recordOf('a', 1)]), /Pulsar refused the producer: 401 Authentication required/);
  const sink = open(server, { token: 'secret' });
  await sink.send([recordOf('a', 1)]);
  t.equal(server.taken.length, 1);
  await sink.close();
});

t.test('a refusal fails the batch, and no later record of the key gets past it', async (t) => {
  const server = await startPulsar(t);
  const sink = open(server);
  await sink.send([recordOf('a', 0)]);
  server.mood = 'refuse';
  await t.rejects(sink.send([recordOf('a', 1), recordOf('a', 2)]), /send-error:8 Unknown error/);
  server.mood = 'ok';
  await sink.send([recordOf('a', 1), recordOf('a', 2)]);
  t.same(
    server.taken.map(({ properties }) => properties.ce_id),
    ['a/0', 'a/1', 'a/2'],
  );
  await sink.close();
});

t.test('taken and cut off before the answer: it fails, is sent again, and the id says so', async (t) => {
  const server = await startPulsar(t);
  const sink = open(server);
  server.mood = 'drop';
  await t.rejects(sink.send([recordOf('a', 1)]), /Pulsar closed the producer/);
  server.mood = 'ok';
  await sink.send([recordOf('a', 1)]);
  t.same(
    server.taken.map(({ properties }) => properties.ce_id),
    ['a/1', 'a/1'],
  );
  await sink.close();
});

t.test('no answer within the time, no server, and a server that is back', async (t) => {
  const server = await startPulsar(t);
  const sink = open(server, { timeoutMs: 2000 });
  server.mood = 'silent';
  await t.rejects(sink.send([recordOf('a', 1)]), /no answer of Pulsar within 2000 ms/);
  await server.stop();
  await t.rejects(sink.send([recordOf('a', 1)]), /ECONNREFUSED/);
  server.mood = 'ok';
  await server.start();
  await sink.send([recordOf('a', 1)]);
  t.equal(server.taken.length, 1);
  await sink.close();
});

t.test('what is larger than Pulsar takes is refused for good, in both ways in which it says so', async (t) => {
  const server = await startPulsar(t);
  const sink = open(server);
  await sink.send([recordOf('a', 1)]);
  server.mostBytes = 1000;
  await t.rejects(sink.send([recordOf('a', 2), recordOf('b', 1, 1001)]), RecordsRefused);
  server.mostBytes = Number.POSITIVE_INFINITY;
  server.mostFrameBytes = 5000;
  await t.rejects(sink.send([recordOf('b', 1, 5000)]), RecordsRefused);
  server.mood = 'refuse';
  const other = await sink.send([recordOf('a', 3)]).catch((error: unknown) => error);
  t.notOk(other instanceof RecordsRefused, 'any other refusal may pass');
  await sink.close();
});

t.test('a namespace that Pulsar has not is an error in its own words', async (t) => {
  const server = await startPulsar(t);
  const sink = open(server, { namespace: 'no/such/place' });
  await t.rejects(
    sink.send([recordOf('a', 1)]),
    /Pulsar refused the producer: 404 Failed to create producer\/consumer: \{"errorMsg":"Namespace not found"/,
  );
  await sink.close();
});
t.end();
