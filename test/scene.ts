/**
 * Ready-made situations for tests that share one server: drivers, riders and trips that never meet those of another test,
 * because each has user ids of its own and a place far from every other.
 */
import { randomBytes, randomInt } from 'node:crypto';
import type { Clients, TestScope } from './clients/clients.ts';
import type { Message } from './clients/inbox.ts';
import { connect, keepAlive, type Peer, type TransportName } from './clients/peer.ts';

export interface Place {
  lat: number;
  lng: number;
}

let places = 0;
let world = '';

/** From now on users and places are such as no other run has: for servers that others use too. */
export function standApart(): void {
  world = `${randomBytes(5).toString('hex')}-`;
  places = randomInt(150_000);
}

/** A place 20 km and more from any other of this process. */
export function somewhere(): Place {
  const n = places++;
  return { lat: -60 + (n % 500) * 0.2, lng: -170 + Math.floor(n / 500) };
}

/** A point `metres` north of a place. */
export const north = ({ lat, lng }: Place, metres: number): Place => ({ lat: lat + metres / 111_195, lng });

let users = 0;

/** A user id that no other test of this process has. */
export const someone = (role: string): string => `${role}-${world}${++users}`;

export interface Member {
  id: string;
  token: string;
}

export async function member(s: Clients, role: string, more: object = {}): Promise<Member> {
  const id = someone(role);
  return { id, token: await s.token(role, id, more) };
}

/** Tells where a driver is, by REST. */
export async function locate(s: Clients, driver: Member, at: Place, recordedAt = Date.now()): Promise<void> {
  const { status, body } = await s.rest('POST', '/api/v1/drivers/me/locations', driver.token, {
    updates: [{ ...at, recorded_at_ms: recordedAt }],
  });
  if (status !== 200) throw new Error(`location refused: ${JSON.stringify(body)}`);
}

/** A driver who is looking for work at a place, with a stream of his own that stays open, however long the test takes. */
export async function lookingDriver(
  t: TestScope,
  s: Clients,
  at: Place,
  transport: TransportName = 'websocket-json',
): Promise<Member & { peer: Peer }> {
  const driver = await member(s, 'driver');
  const peer = await connect(t, s.at, transport, driver.token);
  keepAlive(t, peer);
  await locate(s, driver, at);
  const { status } = await s.rest('PUT', '/api/v1/drivers/me/status', driver.token, { status: 'looking' });
  if (status !== 200) throw new Error(`not looking: ${status}`);
  return { ...driver, peer };
}

/** A trip that waits for a driver. */
export async function requestedTrip(s: Clients, rider: Member, from: Place): Promise<Message> {
  const body = { pickup: from, dropoff: north(from, 3000) };
  const answer = await s.rest('POST', '/api/v1/trips', rider.token, body);
  if (answer.status !== 201) throw new Error(`trip refused: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

export interface Ride {
  id: string;
  at: Place;
  rider: Member;
  driver: Member & { peer: Peer };
  /** As it is stored now, read as an operator. */
  read(): Promise<Message>;
  /** A step of the driver by REST. */
  step(name: 'arrive' | 'start' | 'complete'): Promise<void>;
}

/** A trip with an open offer to a driver of its own. */
export async function offeredRide(t: TestScope, s: Clients, riderId?: string): Promise<Ride & { offerId: string }> {
  const at = somewhere();
  const driver = await lookingDriver(t, s, at);
  const rider = riderId ? { id: riderId, token: await s.token('rider', riderId) } : await member(s, 'rider');
  const { id } = await requestedTrip(s, rider, at);
  const offered = await driver.peer.inbox.find((m) => m.job_offer?.trip_id === id, 'offer');
  const operator = await member(s, 'admin');
  return {
    id,
    at,
    rider,
    driver,
    offerId: offered.job_offer.offer_id,
    read: async () => (await s.rest('GET', `/api/v1/trips/${id}`, operator.token)).body,
    async step(name) {
      const { status, body } = await s.rest('POST', `/api/v1/trips/${id}/${name}`, driver.token);
      if (status !== 200) throw new Error(`${name} refused: ${JSON.stringify(body)}`);
    },
  };
}

/** A trip that its driver has accepted. */
export async function assignedRide(t: TestScope, s: Clients, riderId?: string): Promise<Ride> {
  const ride = await offeredRide(t, s, riderId);
  const path = `/api/v1/trips/${ride.id}/offers/${ride.offerId}/accept`;
  const { status, body } = await s.rest('POST', path, ride.driver.token);
  if (status !== 200) throw new Error(`not accepted: ${JSON.stringify(body)}`);
  return ride;
}

export interface Booked {
  /** Of the booking. */
  id: string;
  departureId: string;
  driver: Member;
  passenger: Member;
  /** Books the departure for another passenger; resolves the booking's id. */
  book(passenger: Member): Promise<string>;
  /** A step of the driver by REST. */
  step(name: 'arrive' | 'start' | 'complete'): Promise<void>;
}

/** A departure that is to leave in half an hour, and a passenger with a seat on it. */
export async function bookedDeparture(s: Clients): Promise<Booked> {
  const [driver, passenger] = [await member(s, 'driver'), await member(s, 'rider')];
  const pickup = somewhere();
  const departure_time = Date.now() + 30 * 60_000;
  const must = async (path: string, who: Member, body?: object): Promise<Message> => {
    const answer = await s.rest('POST', `/api/v1/departures${path}`, who.token, body);
    if (answer.status >= 400) throw new Error(`${path} refused: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const journey = { pickup, dropoff: north(pickup, 9000), departure_time, seats: 4, seat_fare_minor: 700 };
  const { id: departureId } = await must('', driver, journey);
  const book = async (who: Member): Promise<string> => (await must(`/${departureId}/bookings`, who, { seats: 1 })).id;
  return {
    id: await book(passenger),
    departureId,
    driver,
    passenger,
    book,
    step: async (name) => void (await must(`/${departureId}/${name}`, driver)),
  };
}
