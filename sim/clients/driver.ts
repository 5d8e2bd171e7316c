/**
 * One driver: signs in, opens its stream, says where it is and that it is looking, answers offers, and drives what it wins
 * from pick-up to drop-off in the time that the trip really took. Between trips it cruises to where riders are.
 */
import type { Places } from '../city/generate.ts';
import type { Point } from '../geo.ts';
import { chance, createDraw, type Draw } from '../random.ts';
import type { Task } from '../scheduler.ts';
import type { GrpcChannels } from './grpc-link.ts';
import { type Envelope, num, type PayloadName, str } from './link.ts';
import { Movement } from './movement.ts';
import { RestRefused } from './rest.ts';
import { type Answer, Session } from './session.ts';
import { Witness } from './witness.ts';
import type { World } from './world.ts';

export interface Fleet extends World {
  channels: GrpcChannels;
  places: Places;
  declineShare: number;
  ignoreShare: number;
  /** Metered seconds of the trip between two places. */
  durationS(pickup: Point, dropoff: Point): number;
}

type Stage = 'to_pickup' | 'boarding' | 'on_trip';
interface Job {
  id: string;
  pickup: Point;
  dropoff: Point;
  stage: Stage;
}

/** How often a driver says where it is, wall milliseconds: every 4 s at the speed of life, never more than once a second. */
const CADENCE_MS = { onTrip: 4_000, free: 16_000, least: 1_000, leastFree: 4_000 };
/** A free driver says where it is at least twice while a position counts as fresh (an hour of domain time at most). */
const FREE_DOMAIN_MS = 25 * 60_000;
const MINUTE_MS = 60_000;
/** Wall pause before trying again what the server refused against expectation. */
const SECOND_LOOK_MS = 1_000;

export class Driver {
  readonly id: string;
  private readonly fleet: Fleet;
  private readonly draw: Draw;
  private readonly movement: Movement;
  private readonly witness: Witness;
  private session!: Session;
  private token = '';
  private job: Job | undefined;
  /** The offer that was accepted and not yet answered. */
  private replyingTo: string | undefined;
  private stage: Task | undefined;
  private beat: Task | undefined;
  private stopped = false;

  constructor(index: number, fleet: Fleet) {
    this.id = `driver-${index}`;
    this.fleet = fleet;
    this.draw = createDraw(fleet.seed, this.id);
    this.witness = new Witness(this.id, 'driver', fleet);
    this.movement = new Movement(fleet.places.pickup(this.draw).point);
  }

  /** Rejects when no server signs the driver in. */
  async start(): Promise<void> {
    const { rest, servers, channels, scheduler, city } = this.fleet;
    const options = { city: city.figures.city, vehicle_class: 'standard' };
    this.token = (await rest.signIn('driver', this.id, options)).token;
    if (this.stopped) return;
    this.session = new Session({
      servers,
      scheduler,
      draw: this.draw,
      userTopic: `user:${this.id}`,
      open: (server, events) => channels.open(server.grpc, this.token, events),
      handlers: {
        onWelcome: (welcome, server) => this.welcomed(welcome, server.grpc),
        onRaw: (name, payload, envelope) => this.witness.raw(name, payload, envelope),
        onPayload: (name, payload) => this.receive(name, payload),
        onSubscribed: (subscribed) => this.witness.subscribed(subscribed),
        onTopicRefused: (topic, code) => this.witness.note(`subscribe to ${topic} refused: ${code}`, this.job?.id),
        onEnd: () => this.witness.disconnected(),
      },
    });
    this.session.connect();
  }

  stop(): void {
    this.stopped = true;
    for (const task of [this.stage, this.beat]) if (task) task.cancelled = true;
    this.session?.close();
  }

  private welcomed(welcome: Record<string, unknown>, server: string): void {
    this.witness.connected(server, this.session.connects);
    this.sendLocation();
    const active = ((welcome.active_trip_ids as string[] | undefined) ?? [])[0];
    if (this.job && this.job.id !== active) void this.resync(this.job.id, 'welcome');
    else if (!this.job && active) void this.resync(active, 'welcome');
    else if (!this.job) this.look();
  }

  private look(): void {
    void this.session.ask('looking', { ride_status: { status: 'STATUS_LOOKING' } }).then((answer) => {
      if (answer.ok || answer.code === 'CLIENT_CLOSED') return;
      this.witness.note(`looking refused: ${answer.code}`);
      this.fleet.scheduler.after(SECOND_LOOK_MS, () => {
        if (!this.job && !this.stopped) this.look();
      });
    });
    this.cruiseLater();
  }

  /** After some minutes without an offer, drives to another place where trips begin. */
  private cruiseLater(): void {
    const { clock, city, places } = this.fleet;
    this.schedule(clock.now() + (2 + 6 * this.draw()) * MINUTE_MS, () => {
      const now = clock.now();
      const { point } = places.pickup(this.draw);
      this.schedule(this.movement.driveAt(point, city.speedMps(now), now), () => this.cruiseLater());
    });
  }

  /** The one thing that the driver will do next, at a domain time. */
  private schedule(domainMs: number, run: () => void): void {
    if (this.stage) this.stage.cancelled = true;
    this.stage = this.fleet.scheduler.at(this.fleet.clock.wallAt(domainMs), run);
  }

  private sendLocation(): void {
    const { clock, stats, scheduler } = this.fleet;
    if (this.beat) this.beat.cancelled = true;
    const now = clock.now();
    const { speedMps, headingDeg } = this.movement.motion(now);
    const update: Envelope = {
      ...this.movement.at(now),
      recorded_at_ms: String(Math.round(now)),
      speed_mps: speedMps,
      accuracy_m: 8,
    };
    if (headingDeg !== undefined) update.heading_deg = headingDeg;
    if (this.job) update.trip_id = this.job.id;
    const sent = this.session.cast({ location_update: update }, (tookMs) => {
      stats.add('locationsAcked');
      stats.took('location', tookMs);
    });
    if (sent) stats.add('locationsSent');
    const onTripMs = Math.max(CADENCE_MS.least, CADENCE_MS.onTrip / clock.speed);
    const freeMs = Math.max(
      CADENCE_MS.least,
      Math.min(CADENCE_MS.leastFree, FREE_DOMAIN_MS / clock.speed),
      CADENCE_MS.free / clock.speed,
    );
    this.beat = scheduler.after(this.job ? onTripMs : freeMs, () => this.sendLocation());
  }

  private receive(name: PayloadName, payload: Record<string, unknown>): void {
    if (name === 'job_offer') this.consider(payload);
    else if (name === 'trip_event' && this.job?.id === payload.trip_id) {
      if (payload.type === 'cancelled' || payload.type === 'expired') this.finish(str(payload.type));
    }
  }

  private consider(offer: Record<string, unknown>): void {
    const { clock, seed, stats, declineShare, ignoreShare, scheduler } = this.fleet;
    const expiresMs = num(offer.expires_at_ms);
    const now = clock.now();
    // A replayed offer that is over; the server has moved on.
    if (now >= expiresMs) return;
    stats.add('offers');
    const place = offer.pickup as Point;
    const mood = chance(seed, this.id, place.lat, place.lng);
    if (mood < ignoreShare) {
      stats.add('offersIgnored');
      return;
    }
    const accept = !this.job && !this.replyingTo && mood >= ignoreShare + declineShare;
    if (accept) this.replyingTo = str(offer.offer_id);
    // People take some seconds to answer, but leave half of the offer's life for the way back.
    const thinkMs = Math.min((3 + 5 * chance(seed, 'think', this.id, place.lat)) * 1000, (expiresMs - now) / 2);
    scheduler.at(clock.wallAt(now + thinkMs), () => void this.reply(offer, accept));
  }

  private async reply(offer: Record<string, unknown>, accept: boolean): Promise<void> {
    const { ledger, stats } = this.fleet;
    const [offerId, trip] = [str(offer.offer_id), str(offer.trip_id)];
    ledger.write({ k: 'reply', driver: this.id, offer: offerId, trip, accept });
    const reply = { offer_id: offerId, trip_id: trip, accept, reason: accept ? '' : 'not now' };
    const answer = await this.session.ask(`offer:${offerId}`, { offer_reply: reply });
    if (!accept) {
      stats.add('offersDeclined');
      return;
    }
    if (this.replyingTo === offerId) this.replyingTo = undefined;
    if (answer.ok) {
      stats.took('accept', answer.tookMs);
      this.begin(
        { id: trip, pickup: offer.pickup as Point, dropoff: offer.dropoff as Point, stage: 'to_pickup' },
        'ack',
      );
    } else if (this.job?.id !== trip) {
      stats.add('offersTooLate');
      ledger.write({ k: 'too_late', driver: this.id, trip, code: answer.code });
    }
  }

  private begin(job: Job, via: string): void {
    if (this.job?.id === job.id || this.stopped) return;
    this.fleet.ledger.write({ k: 'won', driver: this.id, trip: job.id, via });
    this.fleet.stats.add('won');
    this.fleet.stats.add('driversOnTrip');
    this.job = job;
    this.session.subscribe(`trip:${job.id}`);
    this.proceed(job);
  }

  /** Sets out on what the stage asks for. */
  private proceed(job: Job): void {
    const { clock, city, seed, durationS } = this.fleet;
    const now = clock.now();
    if (job.stage === 'to_pickup') {
      this.schedule(this.movement.driveAt(job.pickup, city.speedMps(now), now), () => void this.step(job, 'arrived'));
    } else if (job.stage === 'boarding') {
      this.schedule(
        now + (20 + 70 * chance(seed, 'boarding', job.pickup.lat)) * 1000,
        () => void this.step(job, 'started'),
      );
    } else {
      this.schedule(
        this.movement.driveFor(job.dropoff, durationS(job.pickup, job.dropoff), now),
        () => void this.step(job, 'completed'),
      );
    }
    this.sendLocation();
  }

  private async step(job: Job, step: 'arrived' | 'started' | 'completed'): Promise<void> {
    const { ledger, stats } = this.fleet;
    if (this.job !== job) return;
    ledger.write({ k: 'step', driver: this.id, trip: job.id, step });
    this.sendLocation();
    const status = `STATUS_${step.toUpperCase()}`;
    const answer: Answer = await this.session.ask(`step:${job.id}:${step}`, {
      ride_status: { status, trip_id: job.id },
    });
    if (answer.ok) {
      stats.took('step', answer.tookMs);
      ledger.write({ k: 'stepped', driver: this.id, trip: job.id, step });
      if (this.job !== job) return;
      if (step === 'completed') return this.finish('completed');
      job.stage = step === 'arrived' ? 'boarding' : 'on_trip';
      this.proceed(job);
    } else if (answer.code !== 'CLIENT_CLOSED' && this.job === job)
      await this.resync(job.id, `${step}: ${answer.code}`);
  }

  /** The driver and the server may see the trip differently: the server's word counts. */
  private async resync(id: string, why: string): Promise<void> {
    const { rest, stats } = this.fleet;
    stats.add('resyncs');
    let trip: Record<string, unknown>;
    try {
      trip = await rest.call({ method: 'GET', path: `/api/v1/trips/${id}`, token: this.token });
    } catch (error) {
      this.witness.note(`cannot read the trip after ${why}: ${String(error)}`, id);
      // Not the driver's trip (any more); anything else is asked again at the next step or welcome.
      if (error instanceof RestRefused && this.job?.id === id) this.finish(error.code);
      return;
    }
    const stages: Record<string, Stage> = { assigned: 'to_pickup', driver_arrived: 'boarding', in_progress: 'on_trip' };
    const stage = stages[str(trip.status)];
    const mine = stage !== undefined && trip.driver_id === this.id;
    if (mine && !this.job) this.begin({ id, pickup: trip.pickup as Point, dropoff: trip.dropoff as Point, stage }, why);
    else if (this.job?.id === id) {
      if (!mine) return this.finish(str(trip.status));
      const job = this.job;
      job.stage = stage;
      // A welcome that still names the trip is no news: the unanswered step is being repeated.
      if (why !== 'welcome') this.fleet.scheduler.after(SECOND_LOOK_MS, () => this.job === job && this.proceed(job));
    } else if (!this.job) this.look();
  }

  private finish(why: string): void {
    const { ledger, clock, stats } = this.fleet;
    const id = this.job!.id;
    ledger.write({ k: 'free', driver: this.id, trip: id, why });
    stats.add('driversOnTrip', -1);
    this.session.unsubscribe(`trip:${id}`);
    this.job = undefined;
    this.movement.stop(clock.now());
    this.sendLocation();
    // After a completed trip the server counts the driver as free by itself; after another end it is told.
    if (why === 'completed') this.cruiseLater();
    else this.look();
  }
}
