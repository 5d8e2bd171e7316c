/**
 * One rider: asks for a trip by REST, follows it on a WebSocket until it has ended, and sometimes changes their mind. The
 * socket stays open between trips, as an app's does.
 */
import { chance, createDraw, type Draw } from '../random.ts';
import type { Task } from '../scheduler.ts';
import type { Trip } from '../trips-csv.ts';
import { type Envelope, num, type PayloadName, str } from './link.ts';
import { type RestAnswer, RestUnanswered } from './rest.ts';
import { Session } from './session.ts';
import { Witness } from './witness.ts';
import type { World } from './world.ts';
import { openWsLink } from './ws-link.ts';

export interface Riders extends World {
  cancelShare: number;
}

interface Ride {
  trip: Trip;
  id: string;
  /** The last event of the trip. */
  status: string;
  waiting: boolean;
  /** Wall time of the last sign of life of the trip. */
  heardAtMs: number;
  cancel: Task | undefined;
  watch: Task | undefined;
  ended(): void;
}

const terminal = new Set(['completed', 'cancelled', 'expired']);
/** The last event of a trip that has no driver yet. */
const beforeDriver = new Set([
  '',
  'requested',
  'offered',
  'offer_narrowed',
  'offer_withdrawn',
  'offer_declined',
  'offer_expired',
  'driver_cancelled',
]);
/** A little longer on the topic after the end, to see whether anything comes twice. */
const LINGER_MS = 400;
/** A trip that is silent for so long is looked up by REST; one that has ended there will not be heard any more. */
const SILENCE_MS = 20_000;

export class Rider {
  readonly id: string;
  private readonly riders: Riders;
  private readonly draw: Draw;
  private readonly witness: Witness;
  private session: Session | undefined;
  private token = '';
  private ride: Ride | undefined;

  constructor(index: number, riders: Riders) {
    this.id = `rider-${index}`;
    this.riders = riders;
    this.draw = createDraw(riders.seed, this.id);
    this.witness = new Witness(this.id, 'rider', riders);
  }

  /** Resolves when the trip has ended for this rider, however that was. `asked` is called when the request is over. */
  async take(trip: Trip, asked: () => void): Promise<void> {
    const { stats, ledger } = this.riders;
    if (!this.session) await this.signIn();
    const key = `row-${trip.row}-seed-${this.riders.seed}`;
    const id = await this.request(trip, key);
    asked();
    if (!id) return;
    ledger.write({ k: 'requested', rider: this.id, row: trip.row, key, trip: id });
    stats.add('requested');
    await new Promise<void>((ended) =>
      this.follow({
        trip,
        id,
        status: '',
        waiting: false,
        heardAtMs: Date.now(),
        cancel: undefined,
        watch: undefined,
        ended,
      }),
    );
  }

  close(): void {
    for (const task of [this.ride?.cancel, this.ride?.watch]) if (task) task.cancelled = true;
    this.session?.close();
  }

  private async signIn(): Promise<void> {
    const { rest, servers, scheduler, city } = this.riders;
    this.token = (await rest.signIn('rider', this.id, { city: city.figures.city })).token;
    const session = new Session({
      servers,
      scheduler,
      draw: this.draw,
      userTopic: `user:${this.id}`,
      open: (server, events) => openWsLink(`ws://${server.http}/ws/client`, this.token, events),
      handlers: {
        onWelcome: (_welcome, server) => this.witness.connected(server.http, session.connects),
        onRaw: (name, payload, envelope) => this.witness.raw(name, payload, envelope),
        onPayload: (name, payload, envelope, live) => this.receive(name, payload, envelope, live),
        onSubscribed: (subscribed) => this.witness.subscribed(subscribed),
        onTopicRefused: (topic, code) => this.witness.note(`subscribe to ${topic} refused: ${code}`, this.ride?.id),
        onEnd: () => this.witness.disconnected(),
      },
    });
    this.session = session;
    session.connect();
  }

  /** The id of the trip that was made, or undefined when there is none. */
  private async request(trip: Trip, key: string): Promise<string | undefined> {
    const { rest, ledger, stats, city } = this.riders;
    const body = { pickup: trip.pickup, dropoff: trip.dropoff, vehicle_class: 'standard', city: city.figures.city };
    ledger.write({ k: 'request', rider: this.id, row: trip.row, key });
    let answer: RestAnswer | undefined;
    try {
      answer = await rest.ask({ method: 'POST', path: '/api/v1/trips', token: this.token, idempotencyKey: key, body });
    } catch (error) {
      if (!(error instanceof RestUnanswered)) throw error;
    }
    if (answer && answer.status < 300) {
      stats.took('request', answer.tookMs);
      return str(answer.body.id);
    }
    const code = answer ? `${answer.status} ${str(answer.body.code)} ${str(answer.body.detail)}` : 'no answer';
    ledger.write({ k: 'request_failed', rider: this.id, row: trip.row, key, code });
    stats.add('requestsFailed');
    return undefined;
  }

  private follow(ride: Ride): void {
    const { clock, scheduler, seed, cancelShare } = this.riders;
    this.ride = ride;
    this.setWaiting(ride, true);
    this.session!.subscribe(`trip:${ride.id}`);
    if (chance(seed, 'cancel', ride.trip.row) < cancelShare) {
      const patienceMs = (30 + 330 * chance(seed, 'patience', ride.trip.row)) * 1000;
      ride.cancel = scheduler.at(clock.wallAt(clock.now() + patienceMs), () => void this.cancel(ride));
    }
    this.watch(ride, false);
  }

  private async cancel(ride: Ride): Promise<void> {
    const { rest, ledger, stats } = this.riders;
    if (!beforeDriver.has(ride.status) && ride.status !== 'assigned') return;
    ledger.write({ k: 'cancel', rider: this.id, trip: ride.id });
    const path = `/api/v1/trips/${ride.id}/cancel`;
    try {
      const answer = await rest.ask({ method: 'POST', path, token: this.token, body: { reason: 'changed plans' } });
      const code = answer.status < 300 ? 'ok' : str(answer.body.code);
      ledger.write({ k: 'cancel_answer', rider: this.id, trip: ride.id, code });
      stats.add(code === 'ok' ? 'cancels' : 'cancelsRefused');
    } catch (error) {
      this.witness.note(`cancel: ${String(error)}`, this.ride?.id);
    }
  }

  /** Looks a silent trip up. `lost`: the last look found it ended, and nothing has come since. */
  private watch(ride: Ride, lost: boolean): void {
    ride.watch = this.riders.scheduler.at(
      ride.heardAtMs + SILENCE_MS * (lost ? 2 : 1),
      () => void this.lookUp(ride, lost),
    );
  }

  private async lookUp(ride: Ride, lost: boolean): Promise<void> {
    if (Date.now() - ride.heardAtMs < SILENCE_MS) return this.watch(ride, false);
    try {
      const trip = await this.riders.rest.call({ method: 'GET', path: `/api/v1/trips/${ride.id}`, token: this.token });
      const over = terminal.has(str(trip.status));
      if (over && lost) {
        this.witness.note(`the trip is ${str(trip.status)}; its last events did not come`, this.ride?.id);
        this.end(ride);
        return;
      }
      if (!over) ride.heardAtMs = Date.now();
      this.watch(ride, over);
    } catch (error) {
      this.witness.note(`look-up: ${String(error)}`, this.ride?.id);
      ride.heardAtMs = Date.now();
      this.watch(ride, lost);
    }
  }

  private receive(name: PayloadName, payload: Record<string, unknown>, envelope: Envelope, live: boolean): void {
    const { stats, scheduler } = this.riders;
    if (name !== 'trip_event') {
      stats.add(`got:${name}`);
      return;
    }
    stats.add('events');
    if (live) stats.took('event', Date.now() - num(envelope.sent_at_ms));
    const { ride } = this;
    if (!ride || ride.id !== payload.trip_id) return;
    ride.status = str(payload.type);
    this.setWaiting(ride, beforeDriver.has(ride.status));
    ride.heardAtMs = Date.now();
    if (!terminal.has(ride.status)) return;
    for (const task of [ride.cancel, ride.watch]) if (task) task.cancelled = true;
    scheduler.after(LINGER_MS, () => this.end(ride));
  }

  private setWaiting(ride: Ride, waiting: boolean): void {
    if (ride.waiting !== waiting) this.riders.stats.add('waiting', waiting ? 1 : -1);
    ride.waiting = waiting;
  }

  private end(ride: Ride): void {
    if (this.ride !== ride) return;
    this.ride = undefined;
    this.session?.unsubscribe(`trip:${ride.id}`);
    this.setWaiting(ride, false);
    this.riders.stats.add(`rides:${terminal.has(ride.status) ? ride.status : 'unheard'}`);
    ride.ended();
  }
}
