/**
 * When somebody will be there: by the routing engine's roads and what is learnt of the traffic, and by the straight line with a
 * learnt factor of its own where the engine has no answer. There is always one, and it says where it came from.
 */
import { latLngToCell } from 'h3-js';
import { asRideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { RoadLeg, RoadLine, RoutingEngine, RoutingMeter } from '../../ports/routing.ts';
import { distanceM, type LatLng, straightLineLeg, type TravelModel } from '../geo.ts';
import type { Way } from './rules.ts';
import type { Traffic } from './traffic.ts';

export const STRAIGHT_LINE = 'straight_line';

/** An estimate of one way. */
export interface Eta {
  distanceM: number;
  etaS: number;
  /** The engine's name, or `straight_line`. */
  source: string;
  /** The source's own time, before what traffic makes of it. */
  baseS: number;
}

export interface RoutingDeps {
  /** Null: straight lines only. */
  engine: RoutingEngine | null;
  traffic: Traffic;
  travel: TravelModel;
  clock: Clock;
  meter: Pick<RoutingMeter, 'answered'>;
  log: Pick<Logger, 'debug'>;
  /** Of one question, the nearest that the engine is asked about. */
  matrixMax: number;
}

/** H3 resolution of the zones whose traffic is learnt: cells of about 0.7 km². */
const TRAFFIC_RESOLUTION = 8;

export type Routing = ReturnType<typeof createRouting>;

export const trafficZone = ({ lat, lng }: LatLng): string => latLngToCell(lat, lng, TRAFFIC_RESOLUTION);

/** A way as the learnt traffic wants to know it. */
export const toWay = (from: LatLng, to: LatLng, at: number, base: RoadLeg, toZone = trafficZone(to)): Way => ({
  from,
  to,
  fromZone: trafficZone(from),
  toZone,
  at,
  baseS: base.durationS,
  baseM: base.distanceM,
});

/** The straight line as if it were a road. */
export function straightLine(from: LatLng, to: LatLng, travel: TravelModel): RoadLeg {
  const { etaS, distanceM } = straightLineLeg(from, to, travel);
  return { durationS: etaS, distanceM };
}

export function createRouting({ engine, traffic, travel, clock, meter, log, matrixMax }: RoutingDeps) {
  /** Null for all when the engine does not answer: a breaker, a timeout, an error of its own. */
  async function byRoad(
    engine: RoutingEngine,
    from: readonly LatLng[],
    to: LatLng,
    at: number,
  ): Promise<(RoadLeg | null)[]> {
    const near = [...from.keys()];
    if (from.length > matrixMax) {
      const far = from.map((place) => distanceM(place, to));
      near.sort((a, b) => far[a]! - far[b]!).length = matrixMax;
    }
    const legs: (RoadLeg | null)[] = from.map(() => null);
    try {
      const answers = await engine.legsTo(
        near.map((i) => from[i]!),
        to,
        at,
      );
      for (const [n, i] of near.entries()) legs[i] = answers[n]!;
    } catch (error) {
      if (asRideError(error).code !== 'RIDE_UNAVAILABLE') throw error;
      // Counted by the engine's own meter and by the sources of the answers.
      log.debug({ err: error }, 'by the straight line');
    }
    return legs;
  }

  /** With the traffic of the city, for ways that come from one source. */
  async function withTraffic(source: string, city: string, ways: readonly Way[]): Promise<Eta[]> {
    if (ways.length === 0) return [];
    const factors = await traffic.factors(source, city, ways);
    meter.answered(source, ways.length);
    return ways.map(({ baseS, baseM }, i) => ({
      distanceM: Math.round(baseM),
      etaS: Math.round(baseS * factors[i]!),
      source,
      baseS,
    }));
  }

  /** From many places to one, in order. `city`: whose traffic counts. Never rejects because an engine is away. */
  async function legsTo(from: readonly LatLng[], to: LatLng, city: string): Promise<Eta[]> {
    if (from.length === 0) return [];
    const at = clock.now();
    const toZone = trafficZone(to);
    const wayOf = (place: LatLng, leg: RoadLeg | null): Way =>
      toWay(place, to, at, leg ?? straightLine(place, to, travel), toZone);
    if (!engine) {
      const lines = from.map((place) => wayOf(place, null));
      return withTraffic(STRAIGHT_LINE, city, lines);
    }
    const road = await byRoad(engine, from, to, at);
    const ways = from.map((place, i) => wayOf(place, road[i]!));
    const [byEngine, byLine] = await Promise.all([
      withTraffic(
        engine.name,
        city,
        ways.filter((_, i) => road[i] !== null),
      ),
      withTraffic(
        STRAIGHT_LINE,
        city,
        ways.filter((_, i) => road[i] === null),
      ),
    ]);
    const [engines, lines] = [byEngine.values(), byLine.values()];
    return road.map((leg) => (leg ? engines : lines).next().value!);
  }

  return {
    legsTo,
    /** The way as it lies on the map; null where no road leads, or no engine says so. Never rejects because an engine is away. */
    async lineTo(from: LatLng, to: LatLng): Promise<RoadLine | null> {
      if (!engine) return null;
      try {
        return await engine.lineTo(from, to);
      } catch (error) {
        if (asRideError(error).code !== 'RIDE_UNAVAILABLE') throw error;
        log.debug({ err: error }, 'a way without its line');
        return null;
      }
    },
    leg: async (from: LatLng, to: LatLng, city: string): Promise<Eta> => (await legsTo([from], to, city))[0]!,
  };
}
