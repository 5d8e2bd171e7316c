/**
 * Locations of drivers: checked, stored in Redis, and only then acknowledged and fanned out to the trip's followers and the
 * zone. One decode, one check, a place in the next write: no await of the store on the way, except the first time a
 * driver names a trip.
 */
import { RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Position, Positions } from '../../ports/positions.ts';
import type { Publisher } from '../../ports/publisher.ts';
import type { Drivers } from '../drivers/service.ts';
import type { LatLng } from '../geo.ts';
import { Recent } from '../recent.ts';
import type { Principal } from '../roles.ts';
import type { Routing } from '../routing/service.ts';
import type { TripStatus } from '../statuses.ts';
import type { TelematicsDesk } from '../telematics/service.ts';
import type { Trips } from '../trips/service.ts';
import type { Watch } from '../watch/service.ts';
import { type Binding, Bindings } from './bindings.ts';
import { type Freshness, freshnessOf, type PositionInput, positionViolation } from './rules.ts';
import type { ZoneBoard } from './zone-board.ts';

export interface LocationsDeps {
  positions: Positions;
  trips: Trips;
  drivers: Drivers;
  publisher: Publisher;
  zones: ZoneBoard;
  watch: Pick<Watch, 'moved'>;
  clock: Clock;
  routing: Routing;
  telematics: Pick<TelematicsDesk, 'freshness' | 'freshnessHere' | 'forget'>;
  settings: { skewMaxMs: number; freshnessMs: number; etaRefreshMs: number; batchMax: number };
  /** Counts a kept update (realtime_location_updates_total). */
  onKept(count: number): void;
  log: Logger;
}

export interface Followed extends Freshness {
  /** The same object for as long as the driver has not been heard of again. */
  position: Position;
}

export interface Accepted {
  readonly accepted: number;
  /** Newer ones were there. */
  readonly late: number;
}

const KEPT: Accepted = { accepted: 1, late: 0 };
const LATE: Accepted = { accepted: 0, late: 1 };

/** So long after his last position (domain ms) a driver is introduced again, which costs a look at his document. */
const INTRODUCED_MS = 600_000;
/** More drivers around a place are not looked at. */
const MOST_NEARBY = 5000;

export type Locations = ReturnType<typeof createLocations>;

export function createLocations(deps: LocationsDeps) {
  const { positions, clock, settings, publisher } = deps;
  const bindings = new Bindings(deps.trips, clock);
  /** Drivers whose place among the available ones is in line with their first position. */
  const introduced = new Recent<true>(INTRODUCED_MS, () => clock.now());
  // Redis had forgotten him, and with his position his place among the available ones.
  positions.onFirst((driverId) => introduce(driverId));

  const legOf = ({ status }: Binding) => (status === 'in_progress' ? 'dropoff' : 'pickup');

  /** The position does not wait for it: the routing engine may take its time. */
  function refreshEta(binding: Binding, position: Position, now: number): void {
    if (binding.etaAsked || now - binding.etaSentAt < settings.etaRefreshMs) return;
    binding.etaSentAt = now;
    binding.etaAsked = true;
    sendEta(binding, position)
      .catch((error: unknown) => deps.log.warn({ err: error, trip_id: binding.tripId }, 'ETA not refreshed'))
      .finally(() => {
        binding.etaAsked = false;
      });
  }

  async function sendEta(binding: Binding, position: Position): Promise<void> {
    const { tripId, pickup, dropoff } = binding;
    const leg = legOf(binding);
    const to = leg === 'pickup' ? pickup : dropoff;
    const { etaS, distanceM, source } = await deps.routing.leg(position, to, position.city);
    // The trip went on, or ended, meanwhile: this is about a way that is behind him.
    if (!bindings.holds(position.driverId, binding) || legOf(binding) !== leg) return;
    const { accuracyM, source: positionSource } = position;
    const freshness = deps.telematics.freshnessHere(position);
    const estimate = { tripId, etaS, distanceM, leg, source } as const;
    publisher.publishLatest(`trip:${tripId}`, 'eta_refresh', { ...estimate, ...freshness, accuracyM, positionSource });
  }

  function fanOut(position: Position, binding: Binding | null): void {
    deps.zones.moved(position, binding !== null);
    if (!binding) return;
    const freshness = deps.telematics.freshnessHere(position);
    publisher.publishLatest(`trip:${binding.tripId}`, 'location', { position, ...freshness });
    refreshEta(binding, position, clock.now());
  }

  /** What refuses it, or null. */
  function check(input: PositionInput, prefix: string): RideError | null {
    const violation = positionViolation(input, clock.now(), settings.skewMaxMs, prefix);
    return violation && new RideError('RIDE_INVALID_INPUT', `${violation.field} must be ${violation.rule}`, violation);
  }

  /** A driver may have gone looking before anyone knew where he is: his first position makes him available. */
  function introduce(driverId: string): void {
    introduced.set(driverId, true);
    const mended = deps.drivers.get(driverId).then((driver) => driver && deps.drivers.reindex(driver));
    mended.catch((error: unknown) => {
      introduced.delete(driverId);
      deps.log.warn({ err: error, driver_id: driverId }, 'driver not made available; his next position will');
    });
  }

  const bindingOf = async (driverId: string, tripId: string, prefix: string): Promise<Binding | null> =>
    tripId === '' ? null : (bindings.known(driverId, tripId) ?? (await bindings.lookUp(driverId, tripId, prefix)));

  const toPosition = (principal: Principal, input: PositionInput, source: string): Position => ({
    driverId: principal.userId,
    tripId: input.tripId,
    lat: input.lat,
    lng: input.lng,
    speedMps: input.speedMps,
    headingDeg: input.headingDeg,
    accuracyM: input.accuracyM,
    recordedAt: input.recordedAt,
    vehicleClass: principal.vehicleClass,
    city: principal.city,
    source,
    isMock: input.isMock,
  });

  /** What follows from a position that was kept. */
  function kept(position: Position, binding: Binding | null, count: number): void {
    deps.onKept(count);
    fanOut(position, binding);
    if (!introduced.get(position.driverId)) introduce(position.driverId);
  }

  function take(position: Position, binding: Binding | null): Promise<Accepted> {
    return positions.record(position).then((isKept) => {
      if (isKept) kept(position, binding, 1);
      deps.watch.moved(position, binding);
      return isKept ? KEPT : LATE;
    });
  }

  return {
    /**
     * Takes one position. Resolved means readable on every node. Called more often than anything else: no promise on its way but
     * the write's, except the first time a driver names a trip.
     * @throws RideError RIDE_INVALID_INPUT (field), RIDE_FORBIDDEN, RIDE_NOT_FOUND, RIDE_UNAVAILABLE
     */
    update(principal: Principal, input: PositionInput, source: string): Promise<Accepted> {
      const refusal = check(input, '');
      if (refusal) return Promise.reject(refusal);
      const position = toPosition(principal, input, source);
      if (input.tripId === '') return take(position, null);
      const binding = bindings.known(principal.userId, input.tripId);
      if (binding) return take(position, binding);
      return bindings.lookUp(principal.userId, input.tripId, '').then((found) => take(position, found));
    },

    /** Takes all or, when one breaks a rule, none. */
    async updateBatch(principal: Principal, inputs: readonly PositionInput[], source: string): Promise<Accepted> {
      if (inputs.length === 0 || inputs.length > settings.batchMax) {
        const rule = `a list of 1 to ${settings.batchMax} positions`;
        throw new RideError('RIDE_INVALID_INPUT', `updates must be ${rule}`, { field: 'updates', rule });
      }
      for (const [index, input] of inputs.entries()) {
        const refusal = check(input, `updates[${index}].`);
        if (refusal) throw refusal;
      }
      const ofTrips = new Map<string, Binding | null>();
      for (const [index, { tripId }] of inputs.entries()) {
        if (ofTrips.has(tripId)) continue;
        ofTrips.set(tripId, await bindingOf(principal.userId, tripId, `updates[${index}].`));
      }
      const taken = inputs.map((input) => toPosition(principal, input, source));
      const isKept = await Promise.all(taken.map((position) => positions.record(position)));
      for (const position of taken) deps.watch.moved(position, ofTrips.get(position.tripId) ?? null);
      // Followers want to know where the driver is, not where he has been since they last heard.
      const newest = taken.findLast((_, index) => isKept[index]);
      const accepted = isKept.filter(Boolean).length;
      if (newest) kept(newest, ofTrips.get(newest.tripId) ?? null, accepted);
      return { accepted, late: taken.length - accepted };
    },

    /** A trip of this driver changed: keep the binding true. Called for every event that reaches this node. */
    onTripEvent: (driverId: string, tripId: string, status: TripStatus): void =>
      bindings.changed(driverId, tripId, status),

    /** The driver's last session on this node ended. */
    forget(driverId: string): void {
      bindings.forget(driverId);
      introduced.delete(driverId);
      deps.telematics.forget(driverId);
    },

    /** Where its driver was last, for whoever begins to follow the trip. */
    async ofTrip(tripId: string): Promise<(Position & Freshness) | null> {
      const position = await positions.ofTrip(tripId);
      // One of a driver who gave the trip up is nobody's to know any more.
      if (position === null || (await deps.trips.any(tripId))?.driverId !== position.driverId) return null;
      return { ...position, ...(await deps.telematics.freshness(position)) };
    },

    /** Where a driver was last, for operators; null when that is not known any more. @throws RideError RIDE_UNAVAILABLE */
    async ofDriver(driverId: string): Promise<Followed | null> {
      const position = await positions.ofDriver(driverId);
      return position && { position, ...(await deps.telematics.freshness(position)) };
    },

    /**
     * Where the driver of a trip is, for someone who may know. Resolved: the newest position that was acknowledged.
     * @throws RideError RIDE_NOT_FOUND, also when the driver has sent none yet; RIDE_FORBIDDEN, RIDE_UNAVAILABLE
     */
    async followed(principal: Principal, tripId: string): Promise<Followed> {
      const known = deps.trips.recall(principal, tripId);
      let { driverId } = known ?? (await deps.trips.parties(principal, tripId));
      const position = await positions.ofTrip(tripId);
      // What is remembered never refuses: another driver may have the trip by now.
      if (known && position?.driverId !== driverId) ({ driverId } = await deps.trips.parties(principal, tripId));
      // One of a driver who gave the trip up is not where its driver is.
      if (position === null || position.driverId !== driverId)
        throw new RideError('RIDE_NOT_FOUND', 'The driver of this trip has sent no position yet');
      return { position, ...(await deps.telematics.freshness(position)) };
    },

    /** Available drivers around a place that are fresh, nearest first. */
    async nearby(center: LatLng, radiusM: number, limit: number, vehicleClass?: string) {
      // Some are not fresh, and of a class there are fewer.
      const most = Math.ceil(limit * (vehicleClass === undefined ? 1.25 : 2));
      for (let looked = most; ; looked = Math.min(4 * looked, MOST_NEARBY)) {
        const found = await positions.nearby(center, radiusM, looked);
        const now = clock.now();
        const fresh = found
          .map(({ position, distanceM }) => ({
            ...position,
            ...freshnessOf(position.recordedAt, now, settings.freshnessMs),
            distanceM: Math.round(distanceM),
          }))
          .filter((d) => !d.stale && (vehicleClass === undefined || d.vehicleClass === vehicleClass));
        // Those who are not asked for must not hide who is behind them.
        if (fresh.length < limit && found.length === looked && looked < MOST_NEARBY) continue;
        const nearest = fresh.slice(0, limit);
        const legs = await deps.routing.legsTo(nearest, center, nearest[0]?.city ?? '');
        return nearest.map((driver, i) => ({ ...driver, etaS: legs[i]!.etaS, etaSource: legs[i]!.source }));
      }
    },
  };
}
