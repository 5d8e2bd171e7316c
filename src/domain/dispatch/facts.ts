/** Gathers what a decision depends on: who is near each trip, what is known of him, and how far he has to go. */
import type { Clock } from '../../ports/clock.ts';
import type { Position, Positions } from '../../ports/positions.ts';
import { type Driver, isAvailable } from '../drivers/driver.ts';
import type { Drivers } from '../drivers/service.ts';
import { distanceM } from '../geo.ts';
import type { Routing } from '../routing/service.ts';
import type { TelematicsDesk } from '../telematics/service.ts';
import { isOut } from '../trips/rules.ts';
import type { Trip } from '../trips/trip.ts';
import { createRingSearch, type Found, type RingSettings } from './candidates.ts';
import { type DecisionInput, type DecisionSettings, type DriverFacts, indexesIn, RULES_VERSION } from './rules.ts';

export interface FactsDeps {
  drivers: Drivers;
  positions: Positions;
  clock: Clock;
  routing: Pick<Routing, 'legsTo'>;
  telematics: Pick<TelematicsDesk, 'whyStaleIfKnown'>;
  rings: RingSettings;
  decision: DecisionSettings;
}

function factsOf(position: Position, driver: Driver | undefined): DriverFacts {
  const { driverId, lat, lng, recordedAt, speedMps, headingDeg, accuracyM, source } = position;
  const answers = driver?.answers ?? [];
  return {
    driverId,
    lat,
    lng,
    recordedAt,
    ...(speedMps === undefined ? {} : { speedMps }),
    ...(headingDeg === undefined ? {} : { headingDeg }),
    ...(accuracyM === undefined ? {} : { accuracyM }),
    positionSource: source,
    vehicleClass: driver?.vehicleClass ?? position.vehicleClass,
    isAvailable: driver !== undefined && isAvailable(driver),
    ...(driver?.idleSince ? { idleSince: driver.idleSince } : {}),
    answered: answers.length,
    accepted: answers.filter(({ accepted }) => accepted).length,
    ratings: driver?.ratings ?? 0,
    ratingSum: driver?.ratingSum ?? 0,
  };
}

export function createFacts({ drivers, positions, clock, routing, telematics, rings, decision }: FactsDeps) {
  /** The index of available drivers is a copy; the document is the truth, and mends the copy where they differ. */
  async function mend(found: ReadonlyMap<string, Position>, known: ReadonlyMap<string, Driver>): Promise<void> {
    await Promise.all(
      [...found.values()].map(async ({ driverId, vehicleClass }) => {
        const driver = known.get(driverId);
        if (!driver) await positions.setUnavailable(driverId);
        else if (!isAvailable(driver) || driver.vehicleClass !== vehicleClass) await drivers.reindex(driver);
      }),
    );
  }

  /** The candidates of one trip as flat pairs: those who may be asked with their way, nearest first, the others without. */
  async function pairsOf(
    trip: Trip,
    around: readonly Found[],
    all: readonly DriverFacts[],
    at: ReadonlyMap<string, number>,
    now: number,
    sources: string[],
  ) {
    const near = around
      .map(({ position, ring }) => ({ index: at.get(position.driverId)!, ring, m: distanceM(position, trip.source) }))
      .sort((a, b) => a.m - b.m || a.index - b.index);
    const isFit = ({ index }: { index: number }): boolean => {
      const driver = all[index]!;
      return driver.isAvailable && driver.vehicleClass === trip.vehicleClass && isFitFor(trip, driver, now);
    };
    const fit = near.filter(isFit).slice(0, rings.enough);
    const unfit = near.filter((one) => !isFit(one)).slice(0, rings.enough);
    const ways = await routing.legsTo(
      fit.map(({ index }) => all[index]!),
      trip.source,
      trip.source.city,
    );
    const sourceOf = (name: string): number => {
      const known = sources.indexOf(name);
      return known < 0 ? sources.push(name) - 1 : known;
    };
    return [
      ...fit.flatMap(({ index, ring }, i) => {
        const { etaS, distanceM, source } = ways[i]!;
        return [index, etaS, distanceM, ring, sourceOf(source)];
      }),
      ...unfit.flatMap(({ index, ring, m }) => [index, 0, Math.round(m), ring, 0]),
    ];
  }

  const isFitFor = (trip: Trip, { driverId, recordedAt }: { driverId: string; recordedAt: number }, now: number) =>
    !isOut(trip, driverId) && now - recordedAt <= decision.freshnessMs;

  /** Why the positions are stale of those who are turned away for it. */
  async function explain(all: readonly DriverFacts[], pairs: readonly (readonly number[])[], now: number) {
    const isStale = ({ recordedAt }: DriverFacts): boolean => now - recordedAt > decision.freshnessMs;
    if (!all.some(isStale)) return;
    const looked = new Set(pairs.flatMap(indexesIn));
    const stale = all.filter((one, index) => isStale(one) && looked.has(index));
    await Promise.all(
      stale.map(async (one) => {
        const reason = await telematics.whyStaleIfKnown(one.driverId, one.recordedAt);
        if (reason) one.staleReason = reason;
      }),
    );
  }

  /** Everything that a decision about these trips depends on, as it is now. */
  return async function gather(trips: readonly Trip[]): Promise<DecisionInput> {
    const now = clock.now();
    const search = createRingSearch(positions, rings);
    const around = await Promise.all(
      trips.map((trip) => search(trip.source, (p) => p.vehicleClass === trip.vehicleClass && isFitFor(trip, p, now))),
    );
    const found = new Map(around.flat().map(({ position }) => [position.driverId, position] as const));
    const known = new Map((await drivers.getMany([...found.keys()])).map((driver) => [driver.id, driver] as const));
    await mend(found, known);
    const all = [...found.values()].map((position) => factsOf(position, known.get(position.driverId)));
    const at = new Map(all.map(({ driverId }, index) => [driverId, index] as const));
    const sources: string[] = [];
    const pairs = await Promise.all(
      trips.map((trip, i) => (around[i]!.length === 0 ? [] : pairsOf(trip, around[i]!, all, at, now, sources))),
    );
    await explain(all, pairs, now);
    return {
      rules: RULES_VERSION,
      at: now,
      settings: decision,
      trips: trips.map((trip) => ({
        tripId: trip.id,
        pickup: { lat: trip.source.lat, lng: trip.source.lng },
        vehicleClass: trip.vehicleClass,
        excludedDriverIds: [trip.riderId, ...trip.excludedDriverIds],
        waitingSince: trip.matchFrom,
      })),
      drivers: all,
      sources,
      pairs,
      askedElsewhere: [],
    };
  };
}
