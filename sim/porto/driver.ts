/**
 * A driver that follows a recorded trace: it takes whatever trip it is offered, and sends the points of that trip's trace at
 * their real pace. After each acknowledgement the position is read back from another node.
 */
import type { GrpcChannels } from '../clients/grpc-link.ts';
import { num, str } from '../clients/link.ts';
import type { RestClient, ServerAddress } from '../clients/rest.ts';
import { type Answer, Session } from '../clients/session.ts';
import type { Point } from '../geo.ts';
import { createDraw } from '../random.ts';
import type { Scheduler } from '../scheduler.ts';
import type { SimClock } from '../sim-clock.ts';
import { POINT_EVERY_S, type Trace } from './traces.ts';

export interface TraceWorld {
  seed: number;
  /** The node of the streams. */
  writeTo: ServerAddress;
  /** The only server of this client is the other node. */
  readFrom: RestClient;
  rest: RestClient;
  channels: GrpcChannels;
  scheduler: Scheduler;
  clock: SimClock;
  /** The trace of a trip, by its pick-up and drop-off. */
  traceOf(pickup: Point, dropoff: Point): Trace | undefined;
  /** Called for each acknowledged position, with what it takes to read it back. */
  onAck(position: SentPosition): void;
  onCompleted(tripId: string): void;
  onProblem(text: string): void;
}

export interface SentPosition extends Point {
  tripId: string;
  driverId: string;
  recordedAtMs: number;
  /** performance.now() of the ack. */
  ackedAtMs: number;
}

const FREE_UPDATE_MS = 2_000;

export class TraceDriver {
  readonly id: string;
  private readonly world: TraceWorld;
  private readonly session: Session;
  private at: Point;
  private busy = false;
  private stopped = false;

  static async start(index: number, at: Point, world: TraceWorld): Promise<TraceDriver> {
    const id = `taxi-${index}`;
    const { token } = await world.rest.signIn('driver', id, { vehicle_class: 'standard' });
    return new TraceDriver(id, token, at, world);
  }

  private constructor(id: string, token: string, at: Point, world: TraceWorld) {
    this.id = id;
    this.world = world;
    this.at = at;
    this.session = new Session({
      servers: [world.writeTo],
      scheduler: world.scheduler,
      draw: createDraw(world.seed, id),
      userTopic: `user:${id}`,
      open: (server, events) => world.channels.open(server.grpc, token, events),
      handlers: {
        onWelcome: () => this.beat(),
        onRaw: () => {},
        onPayload: (name, payload) => {
          if (name === 'job_offer') void this.take(payload);
        },
        onSubscribed: () => {},
        onTopicRefused: (topic, code) => world.onProblem(`${id}: ${topic} refused: ${code}`),
        onEnd: (reason) => world.onProblem(`${id}: the stream ended: ${reason}`),
      },
    });
    this.session.connect();
    void this.session
      .ask('looking', { ride_status: { status: 'STATUS_LOOKING' } })
      .then((answer) => this.expect(answer, 'looking'));
  }

  stop(): void {
    this.stopped = true;
    this.session.close();
  }

  /** Free drivers stay fresh by saying where they stand. */
  private beat(): void {
    if (this.stopped) return;
    if (!this.busy) this.session.cast({ location_update: this.position(this.at) }, () => {});
    this.world.scheduler.after(FREE_UPDATE_MS, () => this.beat());
  }

  private position(at: Point) {
    return { ...at, recorded_at_ms: String(Math.round(this.world.clock.now())), accuracy_m: 10 };
  }

  private expect(answer: Answer, what: string): boolean {
    if (!answer.ok && answer.code !== 'CLIENT_CLOSED')
      this.world.onProblem(`${this.id}: ${what}: ${answer.code} ${answer.message}`);
    return answer.ok;
  }

  private async take(offer: Record<string, unknown>): Promise<void> {
    const trace = this.world.traceOf(offer.pickup as Point, offer.dropoff as Point);
    const tripId = str(offer.trip_id);
    if (!trace || this.busy) {
      this.world.onProblem(
        `${this.id}: offered ${trace ? 'a trip while on another' : 'a trip without a trace'}: ${tripId}`,
      );
      return;
    }
    this.busy = true;
    const reply = { offer_id: str(offer.offer_id), trip_id: tripId, accept: true };
    const won = await this.session.ask(`offer:${reply.offer_id}`, { offer_reply: reply });
    if (this.expect(won, 'accept')) {
      // Nobody has arrived who is known to be elsewhere.
      this.at = trace.points[0]!;
      this.expect(
        await this.session.ask(`pickup:${tripId}`, { location_update: this.position(this.at) }),
        'a position',
      );
      await this.step(tripId, 'ARRIVED');
      await this.step(tripId, 'STARTED');
      await this.follow(trace, tripId);
      await this.step(tripId, 'COMPLETED');
      this.world.onCompleted(tripId);
    }
    this.busy = false;
  }

  private async step(tripId: string, step: string): Promise<void> {
    const status = { status: `STATUS_${step}`, trip_id: tripId };
    this.expect(await this.session.ask(`step:${tripId}:${step}`, { ride_status: status }), step);
  }

  private async follow(trace: Trace, tripId: string): Promise<void> {
    const { clock, scheduler } = this.world;
    for (const point of trace.points) {
      if (this.stopped) return;
      const nextMs = clock.wallAt(clock.now() + POINT_EVERY_S * 1000);
      this.at = point;
      const update = { ...this.position(point), trip_id: tripId };
      const answer = await this.session.ask(`point:${tripId}`, { location_update: update });
      if (!this.expect(answer, `point of row ${trace.row}`) || !answer.ok) return;
      if (num(answer.ack.accepted) === 1) {
        const sent = {
          ...point,
          tripId,
          driverId: this.id,
          recordedAtMs: num(update.recorded_at_ms),
          ackedAtMs: performance.now(),
        };
        this.world.onAck(sent);
      } else this.world.onProblem(`${this.id}: a new point was not kept (row ${trace.row})`);
      await new Promise<void>((resolve) => scheduler.at(nextMs, resolve));
    }
  }
}
