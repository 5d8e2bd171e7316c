/**
 * The people of a storm, and what is said to them: on every transport, coming back by token or by place, one in five reading
 * slowly; riders and drivers on trips that they talk on, an operator who follows all of them, and notes for everyone.
 */
import type { Publisher } from '../../src/ports/publisher.ts';
import { Listener } from '../clients/listener.ts';
import type { PatientRest } from '../clients/patient-rest.ts';
import { transports } from '../clients/peer.ts';
import { type Person, Rides } from '../clients/ride.ts';
import { Roamer, type Way } from '../clients/roamer.ts';
import type { Chooser } from '../servers/chooser.ts';
import { until } from '../until.ts';

export interface CrowdOptions {
  /** Riders with a driver each. */
  pairs: number;
  /** Others, who only get notes. */
  bystanders: number;
  /** Notes to each of them. */
  notesPerS: number;
  /** Chat messages of each side of a trip. */
  chatPerTrip: number;
  heartbeatMs: number;
  /** Bytes of a note to a slow reader, of whom more than the buffers between hold has to pile up. */
  heavyBytes: number;
}

export interface Member extends Person {
  slow: boolean;
  /** Ids of the notes that Redis has taken for him, in order. */
  notes: string[];
  /** What he read by REST when he was told that something of a trip is gone: ids of its events. */
  read: Map<string, Set<string>>;
}

export interface TripTruth {
  id: string;
  /** Those who follow it to its end. */
  followers: Member[];
  listeners: Listener[];
  /** Chat messages that were acknowledged, `<sender> <message id>`. */
  said: Set<string>;
}

const SLOW_EVERY = 5;
const LISTENED_TRIPS = 3;
const READS_NOTHING_MS = [1000, 3000] as const;
const READS_MS = [200, 800] as const;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const between = ([from, to]: readonly [number, number], random: () => number): number => from + random() * (to - from);

export class Crowd {
  readonly members: Member[] = [];
  readonly trips = new Map<string, TripTruth>();
  readonly faults: string[] = [];
  readonly #options: CrowdOptions;
  readonly #rest: PatientRest;
  readonly #publisher: Publisher;
  readonly #random: () => number;
  readonly #work: Promise<unknown>[] = [];
  #isOver = false;

  constructor(options: CrowdOptions, rest: PatientRest, publisher: Publisher, random: () => number) {
    this.#options = options;
    this.#rest = rest;
    this.#publisher = publisher;
    this.#random = random;
  }

  /** Everyone connects through `at`, and everything begins. */
  async begin(at: Chooser): Promise<void> {
    const { pairs, bystanders } = this.#options;
    const roles = ['admin', ...Array.from({ length: pairs }, () => ['rider', 'driver']).flat()];
    roles.push(...Array.from({ length: bystanders }, () => 'rider'));
    for (const [number, role] of roles.entries()) this.members.push(await this.#member(at, role, number));
    await until(() => this.members.every(({ roamer }) => roamer.peer !== null), 'everyone to be connected');
    const [operator, ...others] = this.members as [Member, ...Member[]];
    for (let pair = 0; pair < pairs; pair++) {
      const [rider, driver] = [others[2 * pair]!, others[2 * pair + 1]!];
      this.#work.push(this.#ride(at, rider, driver, operator));
    }
    for (const member of this.members) {
      this.#work.push(this.#notes(member));
      if (member.slow) this.#work.push(this.#readSlowly(member));
    }
  }

  async #member(at: Chooser, role: string, number: number): Promise<Member> {
    const id = `${role}-${number}`;
    const { body } = await this.#rest('POST', '/api/v1/auth/token', undefined, { role, user_id: id });
    const way = (['token', 'places'] satisfies Way[])[Math.floor(number / transports.length) % 2]!;
    const read: Member['read'] = new Map();
    const roamer = new Roamer({
      at,
      transport: transports[number % transports.length]!,
      accessToken: body.access_token,
      way,
      heartbeatMs: this.#options.heartbeatMs,
      // Lines are held up in one direction here, and some read nothing for a while: nothing can be concluded from heartbeats.
      acknowledges: true,
      onGap: (topic) => {
        if (topic.startsWith('trip:')) this.#work.push(this.#readAgain(body.access_token, topic.slice(5), read));
      },
      onGoAway() {},
      onError: (error) => this.faults.push(`${id}: ${error}`),
    });
    const member = { id, token: body.access_token, roamer, slow: number % SLOW_EVERY === 3, notes: [], read };
    // By his own place, which outlives whatever Redis knew.
    if (way === 'places') roamer.follow(`user:${id}`);
    return member;
  }

  async #readAgain(token: string, tripId: string, read: Member['read']): Promise<void> {
    const { body } = await this.#rest('GET', `/api/v1/trips/${tripId}/events`, token);
    const ids = read.get(tripId) ?? new Set();
    for (const { id } of body.items) ids.add(id);
    read.set(tripId, ids);
  }

  async #ride(at: Chooser, rider: Member, driver: Member, operator: Member): Promise<void> {
    let listened = 0;
    const onTrip = async (id: string): Promise<void> => {
      const trip: TripTruth = { id, followers: [rider, driver, operator], listeners: [], said: new Set() };
      this.trips.set(id, trip);
      for (const { roamer } of trip.followers) roamer.follow(`trip:${id}`);
      if (listened++ < LISTENED_TRIPS) {
        const onGap = (): void => void this.#work.push(this.#readAgain(rider.token, id, rider.read));
        trip.listeners.push(new Listener(at, rider.token, id, onGap));
      }
      await Promise.all([this.#talk(trip, rider), this.#talk(trip, driver)]);
    };
    await new Rides(this.#rest, rider, driver, () => this.#isOver, onTrip).done;
  }

  async #talk(trip: TripTruth, { id, roamer }: Member): Promise<void> {
    for (let n = 1; n <= this.#options.chatPerTrip; n++) {
      const message_id = `m${n}`;
      for (;;) {
        const answer = await roamer.ask({ chat_send: { trip_id: trip.id, message_id, text: `the ${n}th` } });
        if (answer.ack) break;
        if (answer.error.code !== 'RIDE_UNAVAILABLE') throw new Error(`not said: ${JSON.stringify(answer.error)}`);
        await sleep(50);
      }
      trip.said.add(`${id} ${message_id}`);
    }
  }

  async #notes({ id, notes, slow }: Member): Promise<void> {
    const { notesPerS, heavyBytes } = this.#options;
    const topic = `user:${id}`;
    const body = slow ? 'x'.repeat(heavyBytes) : '';
    while (!this.#isOver) {
      const note = { id: `${notes.length + 1}`, title: '', body, tripId: '' };
      await this.#publish(topic, note);
      notes.push(note.id);
      await sleep((1000 / notesPerS) * (0.5 + this.#random()));
    }
  }

  async #publish(topic: string, note: { id: string; title: string; body: string; tripId: string }): Promise<void> {
    for (;;) {
      try {
        await this.#publisher.publishOrdered(topic, 'notification', note, `${topic}-${note.id}`);
        return;
      } catch {
        // Redis is away, or its answer is lost: the same again, under the same event id.
        await sleep(50);
      }
    }
  }

  async #readSlowly({ roamer }: Member): Promise<void> {
    while (!this.#isOver) {
      const peer = roamer.peer;
      peer?.pause();
      await sleep(between(READS_NOTHING_MS, this.#random));
      peer?.resume();
      await sleep(between(READS_MS, this.#random));
    }
  }

  /** Nothing new begins; resolves when what was begun is done. */
  async finish(): Promise<void> {
    this.#isOver = true;
    for (const work of this.#work) await work;
  }

  async close(): Promise<void> {
    this.#isOver = true;
    const listeners = [...this.trips.values()].flatMap((trip) => trip.listeners);
    await Promise.all([...this.members.map(({ roamer }) => roamer), ...listeners].map((client) => client.close()));
  }
}
