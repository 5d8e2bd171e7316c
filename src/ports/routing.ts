/**
 * Ways by road: what a routing engine answers, and where its answers are kept. What the domain uses is over them
 * (src/domain/routing/service.ts), which knows the traffic and always has an answer.
 */
import type { LatLng } from '../domain/geo.ts';

/** A way by road as an engine knows it; without the traffic of the hour, unless the engine knows that too. */
export interface RoadLeg {
  distanceM: number;
  durationS: number;
}

/** A way as it lies on the map. */
export interface RoadLine extends RoadLeg {
  /** Two at least, from the road next to the start to the one next to the end; thinned as for a map of the whole way. */
  points: LatLng[];
}

/**
 * All promises are held by test/conformance/routing.ts on every adapter:
 *  - many to one: the ways of all `from` to one place, in their order, however many there are; none gives none;
 *  - one-way streets and detours count: the way there is not the way back;
 *  - null where no road leads, or a place is farther from every road than the engine was told to look;
 *  - questions are cut into requests of bounded size, of which a bounded number runs at once;
 *  - a connection that the engine closes costs a repeat, not the answer.
 */
export interface RoutingEngine {
  /** What `source` says on the wire and in metrics. */
  readonly name: string;
  /**
   * `at`: departure, epoch ms, for an engine that knows traffic by the hour.
   * @throws RideError RIDE_UNAVAILABLE when there is no answer within the time limit
   */
  legsTo(from: readonly LatLng[], to: LatLng, at: number): Promise<(RoadLeg | null)[]>;
  /** The way itself; null as with `legsTo`. @throws as `legsTo` */
  lineTo(from: LatLng, to: LatLng): Promise<RoadLine | null>;
}

/** One hour's ways of one engine to one H3 cell. */
export interface LegGroup {
  engine: string;
  /** Hour of the day in UTC, 0 to 23. */
  hour: number;
  toCell: string;
}

/** Ways between H3 cells that some node has asked for, shared by all. Forgetting is always allowed. */
export interface LegCache {
  /** In the order of `fromCells`; undefined where nothing is known, null where no road leads. */
  read(group: LegGroup, fromCells: readonly string[]): Promise<(RoadLeg | null | undefined)[]>;
  write(group: LegGroup, legs: readonly (readonly [fromCell: string, leg: RoadLeg | null])[]): Promise<void>;
}

/** Which part of a trip an estimate was about. */
export type EtaLeg = 'pickup' | 'dropoff';

export interface RoutingMeter {
  /** One request to the engine, `seconds` with its repeats. */
  asked(engine: string, outcome: 'ok' | 'failed' | 'busy', seconds: number): void;
  cached(level: 'process' | 'redis', result: 'hit' | 'miss' | 'failed', count: number): void;
  breaker(engine: string, state: 'closed' | 'half_open' | 'open'): void;
  /** Estimates that were given, by where they came from. */
  answered(source: string, count: number): void;
  /** Somebody arrived who was told when. */
  arrived(leg: EtaLeg, source: string, toldS: number, tookS: number): void;
}
