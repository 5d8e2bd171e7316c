/**
 * Real trips for a load: each is requested by its rider, offered to its driver, accepted by him and so far as the server is
 * concerned under way. They stay in the store, so that a later server on the same ground goes on with them.
 */
import { once } from 'node:events';
import WebSocket from 'ws';
import { signToken } from '../load/dialects.ts';
import type { Place } from '../load/wire/protobuf.ts';
import { type RideServer, SECRET } from './ride.ts';

export interface BenchTrip {
  id: string;
  driverId: string;
  riderId: string;
  place: Place;
}

const AT_ONCE = 16;
const OFFER_LIMIT_MS = 20_000;
/** Metres apart are what keeps each driver the nearest to his own rider: 0.002 degrees are 220 m. */
const SPACING_DEG = 0.002;
const ROW = 100;

export const placeOf = (i: number): Place => ({
  lat: 40.6 + Math.floor(i / ROW) * SPACING_DEG,
  lng: -74.1 + (i % ROW) * SPACING_DEG,
});

/** Trips number `from` to `from + count - 1`; ids of users carry `prefix`. */
export async function makeTrips(server: RideServer, prefix: string, count: number): Promise<BenchTrip[]> {
  const trips: BenchTrip[] = [];
  let next = 0;
  async function lane(): Promise<void> {
    while (next < count) {
      const i = next++;
      trips[i] = await makeTrip(server, `${prefix}-${String(i).padStart(5, '0')}`, placeOf(i));
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, lane));
  return trips;
}

async function makeTrip(server: RideServer, name: string, place: Place): Promise<BenchTrip> {
  const driverId = `d-${name}`;
  const riderId = `r-${name}`;
  const driver = signToken({ userId: driverId, role: 'driver' }, SECRET);
  const rider = signToken({ userId: riderId, role: 'rider' }, SECRET);
  const socket = new WebSocket(`ws://${server.host}:${server.http}/ws/driver`, {
    headers: { authorization: `Bearer ${driver}` },
  });
  try {
    const answers = listenFor(socket);
    await answers.next((m) => m.welcome !== undefined);
    const update = { ...place, recorded_at_ms: String(Date.now()) };
    socket.send(JSON.stringify({ corr_id: 'at', location_update: update }));
    await answers.next((m) => m.corr_id === 'at' && m.ack !== undefined);
    socket.send(JSON.stringify({ corr_id: 'on', ride_status: { status: 'STATUS_LOOKING' } }));
    await answers.next((m) => m.corr_id === 'on' && m.ack !== undefined);
    const trip = await server.rest('POST', '/api/v1/trips', rider, {
      pickup: place,
      dropoff: { lat: place.lat + 0.05, lng: place.lng + 0.05 },
    });
    const id = String(trip.id);
    const { job_offer } = await answers.next((m) => m.job_offer?.trip_id === id);
    const reply = { offer_id: job_offer!.offer_id, trip_id: id, accept: true };
    socket.send(JSON.stringify({ corr_id: 'yes', offer_reply: reply }));
    await answers.next((m) => m.corr_id === 'yes' && m.ack !== undefined);
    return { id, driverId, riderId, place };
  } finally {
    socket.terminate();
  }
}

interface ServerMessage {
  corr_id?: string;
  welcome?: object;
  ack?: object;
  error?: { code: string; message: string };
  job_offer?: { offer_id: string; trip_id: string };
}

function listenFor(socket: WebSocket) {
  const all: ServerMessage[] = [];
  let changed = Promise.withResolvers<void>();
  let failure: Error | undefined;
  socket.on('message', (data) => {
    const message = JSON.parse(String(data)) as ServerMessage;
    if (message.error) failure = new Error(`${message.error.code}: ${message.error.message}`);
    all.push(message);
    changed.resolve();
  });
  const fail = (error: Error): void => {
    failure ??= error;
    changed.resolve();
  };
  socket.on('error', fail);
  void once(socket, 'close').then(([code]) => fail(new Error(`the driver's socket was closed: ${code}`)), fail);
  return {
    async next(match: (message: ServerMessage) => boolean): Promise<ServerMessage> {
      const timer = setTimeout(() => fail(new Error(`no answer in ${OFFER_LIMIT_MS} ms: ${match}`)), OFFER_LIMIT_MS);
      try {
        for (;;) {
          const found = all.find(match);
          if (found) return found;
          if (failure) throw failure;
          await changed.promise;
          changed = Promise.withResolvers();
        }
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
