/** The envelope, how a message is asked and answered, and the limits of what may be sent. */
import assert from 'node:assert/strict';
import type { Message } from '../../clients/inbox.ts';
import { encodeClient } from '../../clients/peer.ts';
import { member } from '../../scene.ts';
import {
  acked,
  everywhere,
  GRPC,
  join,
  json,
  livesOn,
  type ProtocolCase,
  refused,
  Skipped,
  section,
  webSockets,
} from './case.ts';

/** Field 100 of an envelope, which no contract has yet. */
const UNKNOWN_FIELD = Buffer.from([0xa2, 0x06, 0x00]);
/** Messages that are sent before a limit is taken for out of reach. */
const MANY_MESSAGES = 2000;
/** A longer wait for a limit is not waited out. */
const PATIENCE_MS = 5000;

const envelopes: Omit<ProtocolCase, 'section'>[] = [
  {
    title: 'every message is answered once, under its corr_id, and nothing else has one',
    on: everywhere,
    async run(c) {
      const { id, token } = await member(c.place, 'driver');
      const peer = await join(c, token);
      const ids = Array.from({ length: 50 }, (_, i) => `${id}-${i}`);
      for (const corr_id of ids) peer.send({ corr_id, heartbeat: {} });
      for (const corr_id of ids) await peer.inbox.find((m) => m.corr_id === corr_id, corr_id);
      await livesOn(peer);
      const answered = peer.inbox.all.map((m) => m.corr_id ?? '').filter((corrId) => corrId.startsWith(id));
      assert.deepEqual(answered.sort(), ids.sort());
      assert.equal(peer.inbox.all[0]!.corr_id ?? '', '', 'the welcome answers nothing');
    },
  },
  {
    title: 'a corr_id has at most 64 characters',
    on: everywhere,
    async run(c) {
      const peer = await join(c, (await member(c.place, 'rider')).token);
      const longest = 'x'.repeat(64);
      peer.send({ corr_id: longest, heartbeat: {} });
      acked(await peer.inbox.find((m) => m.corr_id === longest, 'the answer'));
      peer.send({ corr_id: 'x'.repeat(65), heartbeat: {} });
      refused(await peer.inbox.find((m) => m.error, 'the refusal'), 'RIDE_INVALID_INPUT', 'corr_id');
      await livesOn(peer);
    },
  },
  {
    title: 'the server’s Lamport clock passes the client’s, and (lamport, node_id, sequence) grows',
    on: everywhere,
    async run(c) {
      const peer = await join(c, (await member(c.place, 'rider')).token);
      const ahead = Number(peer.inbox.all[0]!.lamport ?? 0) + 1000;
      const answer = await peer.ask({ lamport: ahead, heartbeat: {} });
      assert.ok(Number(answer.lamport) > ahead);
      const next = await peer.ask({ heartbeat: {} });
      assert.ok(Number(next.lamport) > Number(answer.lamport));
      assert.ok(next.node_id && next.node_id === answer.node_id);
      assert.ok(Number(next.sequence) > Number(answer.sequence));
      assert.ok(Number(next.sent_at_ms) >= Number(answer.sent_at_ms));
    },
  },
  {
    title: 'JSON has the names of the proto, 64-bit integers as texts, and no default values',
    on: json,
    async run(c) {
      const peer = await join(c, (await member(c.place, 'driver')).token);
      const answer = await peer.ask({ heartbeat: {} });
      for (const field of ['lamport', 'sequence', 'sent_at_ms'] as const)
        assert.match(answer[field], /^[1-9]\d*$/, field);
      assert.equal(typeof answer.ack.server_time_ms, 'string');
      for (const field of ['topic', 'offset', 'epoch', 'event_id']) assert.ok(!(field in answer), `${field} is empty`);
      assert.ok(!('accepted' in answer.ack), 'nor what is zero');
      peer.raw(JSON.stringify({ corrId: 'camel', heartbeat: { clientTimeMs: 1421322000000 } }));
      acked(await peer.inbox.find((m) => m.corr_id === 'camel', 'camel case and numbers are understood'));
    },
  },
  {
    title: 'unknown fields are refused in JSON and skipped in binary',
    on: everywhere,
    async run(c) {
      const peer = await join(c, (await member(c.place, 'rider')).token);
      if (c.transport === 'websocket-json') {
        refused(await peer.ask({ heartbeat: { fuel: 1 } }), 'RIDE_MALFORMED', 'fuel');
        refused(await peer.ask({ heartbeat: {}, fuel: 1 }), 'RIDE_UNKNOWN_MESSAGE', 'fuel');
      } else {
        peer.raw(Buffer.concat([encodeClient({ corr_id: 'newer', heartbeat: {} }), UNKNOWN_FIELD]));
        acked(await peer.inbox.find((m) => m.corr_id === 'newer', 'the answer'));
      }
      await livesOn(peer);
    },
  },
  {
    title: 'the frame’s type says how it is read, the subprotocol how it is answered',
    on: webSockets,
    async run(c) {
      const peer = await join(c, (await member(c.place, 'rider')).token);
      if (c.transport === 'websocket-protobuf') peer.raw('{"corr_id":"other","heartbeat":{}}');
      else {
        const { socket } = peer as unknown as { socket: { send(b: Buffer, o: object): void } };
        socket.send(encodeClient({ corr_id: 'other', heartbeat: {} }), { binary: true });
      }
      const answer = acked(await peer.inbox.find((m) => m.corr_id === 'other', 'the answer'));
      assert.equal(typeof answer.server_time_ms, c.transport === 'websocket-json' ? 'string' : 'number');
    },
  },
];

const asking: Omit<ProtocolCase, 'section'>[] = [
  {
    title: 'what cannot be decoded is answered by an error, and the session goes on',
    on: everywhere,
    async run(c) {
      const peer = await join(c, (await member(c.place, 'driver')).token);
      if (c.transport === 'websocket-json') {
        peer.raw('{"corr_id":"mine","location_update":{"lat":"north"}}');
        refused(await peer.inbox.find((m) => m.corr_id === 'mine', 'under its corr_id'), 'RIDE_MALFORMED', 'lat');
        for (const text of ['{"heartbeat":', 'hello', '[]', 'null', '{"heartbeat":{},"typing":{}}']) {
          peer.raw(text);
          refused(await peer.next((m) => m.error && m.corr_id === undefined, text), 'RIDE_MALFORMED');
        }
      } else {
        for (const bytes of [
          [0x0a, 0x05, 0x41],
          [0xff, 0xff, 0xff],
          [0x0a, 0x02, 0xff, 0xfe],
        ]) {
          peer.raw(Buffer.from(bytes));
          refused(await peer.next((m) => m.error, `${bytes}`), 'RIDE_MALFORMED');
        }
      }
      await livesOn(peer);
    },
  },
  {
    title: 'a message that the server does not know is refused under its corr_id',
    on: everywhere,
    async run(c) {
      const peer = await join(c, (await member(c.place, 'rider')).token);
      const { retryable, rule } = refused(await peer.ask({}), 'RIDE_UNKNOWN_MESSAGE');
      assert.ok(!retryable);
      assert.match(rule, /heartbeat/, 'the rule names what there is');
      if (c.transport === 'websocket-json') refused(await peer.ask({ fly: {} }), 'RIDE_UNKNOWN_MESSAGE', 'fly');
      await livesOn(peer);
    },
  },
];

const limits: Omit<ProtocolCase, 'section'>[] = [
  {
    title: 'a message over max_payload_bytes is refused, one of over four times as much ends the session',
    on: everywhere,
    async run(c) {
      const peer = await join(c, (await member(c.place, 'rider')).token);
      const most = Number(peer.welcome.max_payload_bytes);
      const note = { sos_trigger: { note: 'x'.repeat(most) } };
      peer.send(note);
      refused(await peer.inbox.find((m) => m.error, 'the refusal'), 'RIDE_PAYLOAD_TOO_LARGE');
      await livesOn(peer);
      peer.send({ sos_trigger: { note: 'x'.repeat(4 * most) } });
      const ended = await peer.ended;
      assert.equal(ended.code, c.transport === 'grpc' ? GRPC.resourceExhausted : 1009, ended.reason);
    },
  },
  {
    title: 'over the general limit of the user a message is refused with the wait; heartbeats are not limited',
    on: everywhere,
    async run(c) {
      const { token } = await member(c.place, 'rider');
      const [peer, other] = [await join(c, token), await join(c, token)];
      const error = await firstRefusal(() => peer.ask({ unsubscribe: { topic: 'zone:none' } }));
      assert.equal(error.retryable, true);
      assert.ok(Number(error.retry_after_ms) > 0);
      assert.match(error.rule, /general/, 'the rule says which limit');
      await livesOn(peer);
      const there = await other.ask({ unsubscribe: { topic: 'zone:none' } });
      // A token may have come back between the two.
      if (!there.ack) refused(there, 'RIDE_RATE_LIMITED');
      // If so, the other had what the first was told to wait for: asked anew.
      const next = there.ack ? await firstRefusal(() => peer.ask({ unsubscribe: { topic: 'zone:none' } })) : error;
      const waitMs = Number(next.retry_after_ms);
      if (waitMs > PATIENCE_MS) throw new Skipped(`the wait is ${waitMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      acked(await peer.ask({ unsubscribe: { topic: 'zone:none' } }));
    },
  },
  {
    title: 'a batch counts each of its locations',
    on: everywhere,
    async run(c) {
      const { token } = await member(c.place, 'driver');
      const peer = await join(c, token);
      const start = Date.now() - 60_000;
      let sent = 0;
      const error = await firstRefusal(() => {
        const updates = Array.from({ length: 50 }, () => ({ lat: -70, lng: 0, recorded_at_ms: start + sent++ }));
        return peer.ask({ location_batch: { updates } });
      });
      assert.match(error.rule, /location/);
      acked(await peer.ask({ ride_status: { status: 'STATUS_OFFLINE' } }));
    },
  },
  {
    title: 'an SOS is never limited',
    on: everywhere,
    async run(c) {
      if (!c.place.alarms) throw new Skipped('raises an alert: only with --alarms');
      const peer = await join(c, (await member(c.place, 'rider')).token);
      await firstRefusal(() => peer.ask({ unsubscribe: { topic: 'zone:none' } }));
      assert.ok(acked(await peer.ask({ sos_trigger: { note: 'conformance test' } })).id);
    },
  },
];

/** Sends until a message is refused for its limit. */
async function firstRefusal(send: () => Promise<Message>): Promise<Message> {
  for (let n = 0; n < MANY_MESSAGES; n++) {
    const answer = await send();
    if (answer.ack) continue;
    return refused(answer, 'RIDE_RATE_LIMITED');
  }
  throw new Skipped(`no limit within ${MANY_MESSAGES} messages`);
}

export const envelopeCases: ProtocolCase[] = [
  ...section('Envelopes', envelopes),
  ...section('Asking and being answered', asking),
  ...section('Limits', limits),
];
