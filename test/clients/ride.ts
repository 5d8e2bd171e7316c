/** Rider and driver on trips through servers that come and go: every step is asked for until it is answered. */
import { randomUUID } from 'node:crypto';
import { type Place, somewhere } from '../scene.ts';
import { until } from '../until.ts';
import type { Message } from './inbox.ts';
import type { PatientRest } from './patient-rest.ts';
import type { Roamer } from './roamer.ts';

const OFFER_LIMIT_MS = 60_000;

export interface Person {
  id: string;
  token: string;
  roamer: Roamer;
}

function must({ status, body }: { status: number; body: Message }, what: string): Message {
  if (status >= 400) throw new Error(`${what}: ${status} ${JSON.stringify(body)}`);
  return body;
}

/** Takes one rider through trips with one driver until it is told to stop; the rider follows them. */
export class Rides {
  readonly trips: string[] = [];
  readonly done: Promise<void>;
  readonly #rest: PatientRest;
  readonly #rider: Person;
  readonly #driver: Person;
  readonly #at: Place = somewhere();

  /** @param onTrip called when the driver has accepted, before he arrives */
  constructor(
    rest: PatientRest,
    rider: Person,
    driver: Person,
    isOver: () => boolean,
    onTrip: (tripId: string) => Promise<void> = async () => {},
  ) {
    this.#rest = rest;
    this.#rider = rider;
    this.#driver = driver;
    this.done = this.#run(isOver, onTrip);
    // It is awaited at the end; what fails before shows there.
    this.done.catch(() => {});
  }

  async #run(isOver: () => boolean, onTrip: (tripId: string) => Promise<void>): Promise<void> {
    await this.#locate();
    must(await this.#rest('PUT', '/api/v1/drivers/me/status', this.#driver.token, { status: 'looking' }), 'looking');
    while (!isOver()) {
      await this.#locate();
      const wish = { pickup: this.#at, dropoff: { lat: this.#at.lat + 0.02, lng: this.#at.lng } };
      const { id } = must(await this.#rest('POST', '/api/v1/trips', this.#rider.token, wish, randomUUID()), 'trip');
      this.trips.push(id);
      this.#rider.roamer.follow(`trip:${id}`);
      await this.#accept(id);
      await onTrip(id);
      for (const step of ['arrive', 'start', 'complete'])
        must(await this.#rest('POST', `/api/v1/trips/${id}/${step}`, this.#driver.token), step);
    }
  }

  async #locate(): Promise<void> {
    const updates = [{ ...this.#at, recorded_at_ms: Date.now() }];
    must(await this.#rest('POST', '/api/v1/drivers/me/locations', this.#driver.token, { updates }), 'location');
  }

  /** Offers pass and come again while servers are away. */
  async #accept(id: string): Promise<void> {
    const { books } = this.#driver.roamer;
    const tried = new Set<string>();
    const open = (): string | undefined =>
      books.taken.get(`user:${this.#driver.id}`)?.findLast((m) => m.job_offer?.trip_id === id)?.job_offer.offer_id;
    for (;;) {
      await until(() => open() !== undefined && !tried.has(open()!), `an offer of ${id}`, OFFER_LIMIT_MS);
      const offer = open()!;
      const path = `/api/v1/trips/${id}/offers/${offer}/accept`;
      const { status, body } = await this.#rest('POST', path, this.#driver.token);
      if (status === 200) return;
      if (body.code === 'RIDE_OFFER_CLOSED') tried.add(offer);
      else if (body.code !== 'RIDE_CONFLICT') throw new Error(`not accepted: ${JSON.stringify(body)}`);
    }
  }
}
