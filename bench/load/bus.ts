/**
 * The way in of another node: positions of trips, encoded as the server encodes them and published to the topics' Redis
 * channels; or events to rooms of Socket.IO, by a third node of its own with its Redis adapter. What this leaves out is everything before the publishing. A process of its own, or part of one that also receives.
 */
import { createAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { serve } from '../harness/remote.ts';
import { now, stamp } from '../harness/time.ts';
import { socketIoPayload } from './dialects.ts';
import { bytes, double, integer } from './wire/protobuf.ts';

interface ConnectArgs {
  redisUrl: string;
  /** The trips that move, in turn. */
  trips: { id: string; driverId: string }[];
}

interface RoomsArgs {
  redisUrl: string;
  /** Rooms that get an event, in turn. */
  rooms: string[];
  eventBytes: number;
}

/** As a node does with positions: LOCATION_FLUSH. */
const TICK_MS = 2;
// ServerEnvelope
const [LAMPORT, NODE_ID, SEQUENCE, TOPIC, SENT_AT_MS, LOCATION] = [2, 3, 4, 6, 9, 26];
// Location
const [TRIP_ID, DRIVER_ID, LAT, LNG, SPEED_MPS, HEADING_DEG, ACCURACY_M, RECORDED_AT_MS, SOURCE] = [
  1, 2, 3, 4, 5, 6, 7, 8, 10,
];

const topicOf = (tripId: string): string => `trip:${tripId}`;

let connections: Redis[] = [];
/** Sends number n. */
let send: (n: number) => void;
let timer: NodeJS.Timeout | undefined;
let sent = 0;
let startedAt = 0;
let failure: Error | undefined;

function envelope({ id, driverId }: ConnectArgs['trips'][number]): Buffer {
  const location = Buffer.concat([
    bytes(TRIP_ID, id),
    bytes(DRIVER_ID, driverId),
    double(LAT, 40.7484),
    double(LNG, -73.9857),
    double(SPEED_MPS, 7.5),
    double(HEADING_DEG, 120),
    double(ACCURACY_M, stamp()),
    integer(RECORDED_AT_MS, Date.now()),
    bytes(SOURCE, 'stream'),
  ]);
  return Buffer.concat([
    Buffer.from('\n'),
    integer(LAMPORT, sent + 1),
    bytes(NODE_ID, 'ride'),
    integer(SEQUENCE, sent + 1),
    bytes(TOPIC, topicOf(id)),
    integer(SENT_AT_MS, Date.now()),
    bytes(LOCATION, location),
  ]);
}

export const bus = {
  async connect({ redisUrl, trips }: ConnectArgs): Promise<void> {
    const redis = new Redis(redisUrl, { enableAutoPipelining: true });
    connections = [redis];
    send = (n) => {
      const trip = trips[n % trips.length]!;
      redis.publish(topicOf(trip.id), envelope(trip)).catch((error: Error) => {
        failure ??= error;
      });
    };
    await redis.ping();
  },

  async connectRooms({ redisUrl, rooms, eventBytes }: RoomsArgs): Promise<void> {
    connections = [new Redis(redisUrl), new Redis(redisUrl)];
    const io = new Server({ serveClient: false });
    io.adapter(createAdapter(connections[0], connections[1]));
    const payload = socketIoPayload(eventBytes);
    send = (n) => io.to(rooms[n % rooms.length]!).emit('e', payload());
    await Promise.all(connections.map((redis) => redis.ping()));
  },

  publish({ perSecond }: { perSecond: number }): void {
    sent = 0;
    startedAt = now();
    timer = setInterval(() => {
      const wanted = Math.floor(((now() - startedAt) / 1000) * perSecond);
      for (; sent < wanted; sent++) send(sent);
    }, TICK_MS);
  },

  quiet(): { sent: number; seconds: number } {
    clearInterval(timer);
    if (failure) throw failure;
    return { sent, seconds: (now() - startedAt) / 1000 };
  },

  close(): void {
    clearInterval(timer);
    for (const redis of connections) redis.disconnect();
    connections = [];
  },
};

export type BusApi = typeof bus;
if (import.meta.main) serve(bus);
