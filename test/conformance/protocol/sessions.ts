/** Opening a session, its heartbeats, its end. */
import assert from 'node:assert/strict';
import type { Message } from '../../clients/inbox.ts';
import { openGrpc, openWebSocket, UpgradeRefused } from '../../clients/peer.ts';
import { member, north, offeredRide, somewhere } from '../../scene.ts';
import {
  acked,
  type Context,
  endedWith,
  everywhere,
  GRPC,
  join,
  json,
  livesOn,
  type ProtocolCase,
  refusal,
  refused,
  Skipped,
  section,
  statusOn,
  webSockets,
} from './case.ts';

const NAMESPACES: Record<string, readonly string[]> = {
  '/ws': ['rider', 'driver', 'admin', 'dispatcher', 'service'],
  '/ws/client': ['rider'],
  '/ws/porter': ['driver'],
  '/ws/driver': ['driver'],
  '/ws/admin': ['admin', 'dispatcher'],
};

/** Sessions of one user that are tried before his limit is taken for out of reach. */
const MANY_SESSIONS = 40;
/** Longer silence is not waited for. */
const PATIENCE_MS = 45_000;

const opening: Omit<ProtocolCase, 'section'>[] = [
  {
    title: 'a namespace takes its own roles only',
    on: webSockets,
    async run(c) {
      for (const role of NAMESPACES['/ws']!) {
        const { token, id } = await member(c.place, role);
        for (const [path, roles] of Object.entries(NAMESPACES)) {
          if (roles.includes(role)) {
            const { welcome } = await join(c, token, { path });
            assert.deepEqual([welcome.user_id, welcome.role], [id, role], path);
          } else {
            const { status, code } = await refusal(c, token, { path });
            assert.deepEqual([status, code], [403, 'RIDE_FORBIDDEN'], `${role} on ${path}`);
          }
        }
      }
      const { token } = await member(c.place, 'rider');
      assert.equal((await refusal(c, token, { path: '/ws/none' })).code, 'RIDE_NOT_FOUND');
      const plain = await c.place.rest('GET', '/ws', token);
      assert.deepEqual([plain.status, plain.body.code], [404, 'RIDE_NOT_FOUND'], 'without an upgrade');
    },
  },
  {
    title: 'a token comes as header, subprotocol or query, and is not echoed',
    on: webSockets,
    async run(c) {
      const { id, token } = await member(c.place, 'rider');
      const name = c.transport === 'websocket-json' ? 'ride.v1.json' : 'ride.v1.protobuf';
      for (const [given, options] of [
        [token, {}],
        [undefined, { protocols: [name, `bearer.${token}`] }],
        [undefined, { path: `/ws?access_token=${token}` }],
      ] as const) {
        const peer = await openWebSocket(c.place.at, c.transport as 'websocket-json', given, options as object);
        c.scope.after(() => peer.cut());
        assert.equal(peer.socket.protocol, name);
        assert.equal((await peer.next((m) => m.welcome, 'welcome')).welcome.user_id, id);
      }
    },
  },
  {
    title: 'a client that names no subprotocol gets JSON; of both, protobuf is preferred',
    on: json,
    async run(c) {
      const { token } = await member(c.place, 'rider');
      const none = await openWebSocket(c.place.at, 'websocket-json', token, { protocols: [] });
      c.scope.after(() => none.cut());
      assert.equal(none.socket.protocol, '');
      // The client parses text frames as JSON and binary ones as protobuf.
      const binary: boolean[] = [];
      none.socket.on('message', (_data, isBinary) => binary.push(isBinary));
      acked(await none.ask({ heartbeat: {} }));
      assert.ok(binary.length > 0 && binary.every((one) => !one));
      for (const protocols of [
        ['ride.v1.json', 'ride.v1.protobuf'],
        ['ride.v1.protobuf', 'ride.v1.json'],
      ]) {
        const both = await openWebSocket(c.place.at, 'websocket-protobuf', token, { protocols });
        c.scope.after(() => both.cut());
        assert.equal(both.socket.protocol, 'ride.v1.protobuf');
      }
    },
  },
  {
    title: 'a claim that is not as the table says is refused by its name',
    on: everywhere,
    async run(c) {
      for (const [claim, value] of [
        ['sub', 'a rider'],
        ['sub', 'x'.repeat(181)],
        ['role', 'root'],
        ['city', 'New York'],
        ['vehicle_class', 'spaceship'],
        ['premium', 'yes'],
      ] as const) {
        const exp = Math.floor(Date.now() / 1000) + 60;
        const { status, code, field } = await refusal(c, signed(c, { exp, [claim]: value }));
        assert.equal(status, statusOn(c.transport, 401, GRPC.unauthenticated), claim);
        assert.deepEqual([code, field], ['RIDE_UNAUTHENTICATED', claim]);
      }
    },
  },
  {
    title: 'no token, and one that is none, are refused before anything else',
    on: everywhere,
    async run(c) {
      for (const token of [undefined, 'x.y.z']) {
        const { status, code, field } = await refusal(c, token);
        assert.equal(status, statusOn(c.transport, 401, GRPC.unauthenticated));
        assert.deepEqual([code, field], ['RIDE_UNAUTHENTICATED', 'authorization']);
      }
    },
  },
  {
    title: 'an expired token is refused as such',
    on: everywhere,
    async run(c) {
      const token = signed(c, { exp: Math.floor(Date.now() / 1000) - 5 });
      const { status, code } = await refusal(c, token);
      assert.equal(status, statusOn(c.transport, 401, GRPC.unauthenticated));
      assert.equal(code, 'RIDE_TOKEN_EXPIRED');
    },
  },
  {
    title: 'the welcome is the first message, and what was sent before it is handled after it',
    on: everywhere,
    async run(c) {
      const { id, token } = await member(c.place, 'driver');
      const peer =
        c.transport === 'grpc' ? openGrpc(c.place.at, token) : await openWebSocket(c.place.at, c.transport, token);
      c.scope.after(() => peer.cut());
      acked(await peer.ask({ heartbeat: {} }));
      const [{ welcome }, ...others] = peer.inbox.all as [Message];
      assert.deepEqual([welcome.user_id, welcome.role], [id, 'driver']);
      assert.ok(welcome.session_id);
      for (const field of ['server_time_ms', 'heartbeat_interval_ms', 'heartbeat_timeout_ms', 'max_payload_bytes'])
        assert.ok(Number(welcome[field]) > 0, field);
      assert.ok(Number(welcome.heartbeat_timeout_ms) > Number(welcome.heartbeat_interval_ms));
      assert.match(welcome.reconnect_token ?? '', /^[\w-]{16,64}$/);
      assert.ok(!others.some((m) => 'welcome' in m), 'once');
    },
  },
  {
    title: 'the welcome names the trips that are open',
    on: everywhere,
    async run(c) {
      const ride = await offeredRide(c.scope, c.place);
      const rider = await join(c, ride.rider.token);
      assert.deepEqual(rider.welcome.active_trip_ids, [ride.id]);
      const accept = { offer_id: ride.offerId, trip_id: ride.id, accept: true };
      acked(await ride.driver.peer.ask({ offer_reply: accept }));
      assert.deepEqual((await join(c, ride.driver.token)).welcome.active_trip_ids, [ride.id]);
    },
  },
  {
    title: 'a user has so many sessions and no more, and is told when to come again',
    on: everywhere,
    async run(c) {
      const { token } = await member(c.place, 'rider');
      for (let n = 0; n < MANY_SESSIONS; n++) {
        const opened = await join(c, token).then(
          () => true,
          (error: unknown) => !(error instanceof UpgradeRefused || /RESOURCE|ended|sessions/i.test(String(error))),
        );
        if (opened) continue;
        const { status, code, retryAfterMs } = await refusal(c, token);
        assert.equal(status, statusOn(c.transport, 429, GRPC.resourceExhausted));
        assert.equal(code, 'RIDE_USER_SESSIONS');
        assert.ok(retryAfterMs > 0);
        return;
      }
      throw new Skipped(`MAX_SESSIONS_PER_USER is above ${MANY_SESSIONS}`);
    },
  },
];

/** A rider's token with an end of one's own. */
function signed({ place }: Context, claims: object): string {
  if (!place.sign) throw new Skipped('needs --token-secret');
  return place.sign({ sub: `rider-${Math.random().toString(36).slice(2)}`, role: 'rider', ...claims });
}

const heartbeats: Omit<ProtocolCase, 'section'>[] = [
  {
    title: 'a heartbeat that nobody asks about is acked when nothing else was sent, and only then',
    on: everywhere,
    async run(c) {
      const peer = await join(c, (await member(c.place, 'rider')).token);
      const acks = (): number => peer.inbox.all.filter((m) => m.ack && !m.corr_id).length;
      // The welcome came since the beginning, the answer of `ask` since the first.
      peer.send({ heartbeat: {} });
      acked(await peer.ask({ heartbeat: {} }));
      peer.send({ heartbeat: {} });
      assert.equal(acks(), 0);
      // Nothing was sent since the last but its ack, which says nothing new.
      for (const already of [0, 1]) {
        peer.send({ heartbeat: {} });
        await peer.next((m) => m.ack && !m.corr_id && acks() > already, 'the ack of a heartbeat');
      }
      acked(await peer.ask({ heartbeat: {} }));
      assert.equal(acks(), 2);
    },
  },
  {
    title: 'silence ends a session after the timeout and not before; heartbeats and refused messages keep it',
    on: everywhere,
    async run(c) {
      const { token } = await member(c.place, 'driver');
      const startedAt = performance.now();
      const silent =
        c.transport === 'grpc' ? openGrpc(c.place.at, token) : await openWebSocket(c.place.at, c.transport, token);
      c.scope.after(() => silent.cut());
      const { welcome } = await silent.next((m) => m.welcome, 'welcome');
      const timeoutMs = Number(welcome.heartbeat_timeout_ms);
      if (timeoutMs > PATIENCE_MS) throw new Skipped(`HEARTBEAT_TIMEOUT is ${timeoutMs} ms`);
      const beating = await join(c, token);
      const refusedOnly = await join(c, token);
      const talk = setInterval(
        () => refusedOnly.send({ location_update: { lat: 91 } }),
        Number(welcome.heartbeat_interval_ms),
      );
      c.scope.after(() => clearInterval(talk));
      // Answered by the WebSocket itself, and no sign of life.
      const pings = 'socket' in silent ? setInterval(() => ping(silent), timeoutMs / 5) : undefined;
      c.scope.after(() => clearInterval(pings));
      const ended = await silent.ended;
      assert.ok(performance.now() - startedAt >= timeoutMs, 'not before the timeout');
      endedWith(c.transport, ended, 4001, GRPC.deadlineExceeded, 'RIDE_HEARTBEAT_MISSED');
      await livesOn(beating);
      await livesOn(refusedOnly);
    },
  },
  {
    title: 'a ping of WebSocket is answered by a pong',
    on: webSockets,
    async run(c) {
      const { token } = await member(c.place, 'rider');
      const { socket } = await openWebSocket(c.place.at, c.transport as 'websocket-json', token);
      c.scope.after(() => socket.terminate());
      const pong = new Promise<Buffer>((resolve) => socket.once('pong', resolve));
      socket.ping('there?');
      assert.equal((await pong).toString(), 'there?');
    },
  },
];

function ping(peer: object): void {
  const { socket } = peer as { socket: { readyState: number; OPEN: number; ping(): void } };
  if (socket.readyState === socket.OPEN) socket.ping();
}

/** Sends bytes below the WebSocket, so that they can be anything. */
function writeRaw(socket: object, bytes: Buffer): void {
  (socket as { _socket: { write(bytes: Buffer): void } })._socket.write(bytes);
}

const ends: Omit<ProtocolCase, 'section'>[] = [
  {
    title: 'a token that runs out ends its session',
    on: everywhere,
    async run(c) {
      const peer = await join(c, signed(c, { exp: Math.ceil(Date.now() / 1000) + 3 }));
      endedWith(c.transport, await peer.ended, 4502, GRPC.unauthenticated, 'RIDE_TOKEN_EXPIRED');
    },
  },
  {
    title: 'an orderly end by the client is no error',
    on: everywhere,
    async run(c) {
      const peer = await join(c, (await member(c.place, 'rider')).token);
      peer.close();
      assert.equal((await peer.ended).code, c.transport === 'grpc' ? 0 : 1005);
    },
  },
  {
    title: 'what breaks the rules of WebSocket ends with its own codes',
    on: webSockets,
    async run(c) {
      const { token } = await member(c.place, 'rider');
      for (const [code, bytes] of [
        // A masked text frame that is not UTF-8, and a frame of a reserved opcode.
        [1007, [0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe]],
        [1002, [0x83, 0x80, 0, 0, 0, 0]],
      ] as const) {
        const peer = await openWebSocket(c.place.at, c.transport as 'websocket-json', token);
        c.scope.after(() => peer.cut());
        writeRaw(peer.socket, Buffer.from(bytes));
        assert.equal((await peer.ended).code, code);
      }
    },
  },
  {
    title: 'a server that stops says go_away to each session, answers on, refuses new ones, and ends with 4000',
    on: everywhere,
    async run(c) {
      if (!c.place.start) throw new Skipped('ends the server: only one that the suite has started');
      const server = await c.place.start(c.scope, { DRAIN_JITTER: '1s', DRAIN_DEADLINE: '10s' });
      const mine: Context = { ...c, place: { ...c.place, ...server } };
      const { token } = await member(server, 'rider');
      const [first, last] = [await join(mine, token), await join(mine, token)];
      const stopped = server.stop();
      const waits: number[] = [];
      for (const peer of [first, last]) {
        const { go_away } = await peer.next((m) => m.go_away, 'go_away');
        waits.push(Number(go_away.reconnect_after_ms));
      }
      assert.ok(waits.every((wait) => wait >= 0 && wait <= 1000) && waits[0] !== waits[1], `${waits}`);
      const longest = waits[0]! > waits[1]! ? first : last;
      await livesOn(longest);
      const { code, status } = await refusal(mine, token);
      assert.deepEqual([code, status], ['RIDE_DRAINING', statusOn(c.transport, 503, GRPC.unavailable)]);
      for (const peer of [first, last])
        endedWith(c.transport, await peer.ended, 4000, GRPC.unavailable, 'RIDE_DRAINING');
      await stopped;
    },
  },
];

const own: Omit<ProtocolCase, 'section'>[] = [
  {
    title: 'the own topic is followed by itself and cannot be left',
    on: everywhere,
    async run(c) {
      const driver = await member(c.place, 'driver');
      const peer = await join(c, driver.token);
      refused(await peer.ask({ unsubscribe: { topic: `user:${driver.id}` } }), 'RIDE_INVALID_INPUT', 'topic');
      const at = somewhere();
      acked(await peer.ask({ location_update: { ...at, recorded_at_ms: Date.now() } }));
      acked(await peer.ask({ ride_status: { status: 'STATUS_LOOKING' } }));
      const rider = await member(c.place, 'rider');
      const trip = await c.place.rest('POST', '/api/v1/trips', rider.token, { pickup: at, dropoff: north(at, 3000) });
      assert.equal(trip.status, 201);
      const offer = await peer.inbox.find((m) => m.job_offer?.trip_id === trip.body.id, 'the offer');
      assert.equal(offer.topic, `user:${driver.id}`);
      acked(await peer.ask({ ride_status: { status: 'STATUS_OFFLINE' } }));
    },
  },
];

export const sessionCases: ProtocolCase[] = [
  ...section('Opening a session', [...opening, ...own]),
  ...section('Heartbeats', heartbeats),
  ...section('The end of a session', ends),
];
