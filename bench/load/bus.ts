/**
 * The way in of another node: positions of trips, encoded as the server encodes them and published to the topics' Redis
 * channels. What this leaves out is everything before the publishing. A process of its own, or part of one that also receives.
 */
import { Redis } from 'ioredis';
import { serve } from '../harness/remote.ts';
import { now, stamp } from '../harness/time.ts';
import { bytes, double, integer } from './wire/protobuf.ts';

interface ConnectArgs {
  redisUrl: string;
  /** The trips that move, in turn. */
  trips: { id: string; driverId: string }[];
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

let redis: Redis | undefined;
let trips: ConnectArgs['trips'];
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
  async connect(to: ConnectArgs): Promise<void> {
    ({ trips } = to);
    redis = new Redis(to.redisUrl, { enableAutoPipelining: true });
    await redis.ping();
  },

  publish({ perSecond }: { perSecond: number }): void {
    sent = 0;
    startedAt = now();
    timer = setInterval(() => {
      const wanted = Math.floor(((now() - startedAt) / 1000) * perSecond);
      for (; sent < wanted; sent++) {
        const trip = trips[sent % trips.length]!;
        redis!.publish(topicOf(trip.id), envelope(trip)).catch((error: Error) => {
          failure ??= error;
        });
      }
    }, TICK_MS);
  },

  quiet(): { sent: number; seconds: number } {
    clearInterval(timer);
    if (failure) throw failure;
    return { sent, seconds: (now() - startedAt) / 1000 };
  },

  close(): void {
    clearInterval(timer);
    redis?.disconnect();
  },
};

export type BusApi = typeof bus;
if (import.meta.main) serve(bus);
