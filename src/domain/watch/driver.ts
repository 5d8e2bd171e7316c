/** What a node knows of a driver whose positions it gets, and of the ride that he is on. */
import type { Position } from '../../ports/positions.ts';
import type { RoadLine } from '../../ports/routing.ts';
import type { TrackPoint } from '../../ports/store.ts';
import type { WatchedRide } from '../check-ins/parties.ts';
import type { AnyTrip } from '../departures/departure.ts';
import type { LatLng } from '../geo.ts';
import { type Sighting, sighting } from '../locations/rules.ts';
import { freshSafety, type SafetyState } from '../safety/rules.ts';
import { freshSpoof, type SpoofState } from '../spoofing/rules.ts';
import type { TripStatus } from '../statuses.ts';
import { type CleansingState, freshState } from '../tracks/rules.ts';

/** The trip of a position, as the locations know it; its status follows the trip. */
export interface BoundRide {
  readonly tripId: string;
  /** Empty: a departure. */
  readonly riderId: string;
  readonly city: string;
  readonly dropoff: LatLng;
  status: TripStatus;
  readonly kind: AnyTrip['kind'];
}

/** Whether somebody may be on board who can be asked; a parcel's sender is at home. */
export const isLookedAfter = ({ status, kind }: BoundRide): boolean => status === 'in_progress' && kind !== 'delivery';

/** A position, as far as what is concluded from it goes. */
export interface HeardFix extends LatLng {
  at: number;
  accuracyM: number | undefined;
  speedMps: number | undefined;
  source: string;
  isMock: boolean;
}

/** A ride with its rider on board. */
export interface RideWatch extends WatchedRide {
  bound: BoundRide;
  safety: SafetyState;
  /** The way it is to take; null: not known. */
  way: RoadLine | null;
  /** Of the way as it was planned first, metres. */
  plannedM: number;
  /** Since the watch of this node began, metres. */
  drivenM: number;
  isReady: boolean;
  /** Warnings of a ride are written one after the other. */
  tail: Promise<void>;
}

export interface DriverWatch {
  driverId: string;
  /** Domain ms. */
  heardAt: number;
  last: Position;
  heard: number;
  /** When the last point was measured that is kept though he is on no trip. */
  keptAt: number;
  cleansing: CleansingState;
  spoof: SpoofState;
  /** Null until it is read. */
  inside: Map<string, number> | null;
  isReading: boolean;
  ride: RideWatch | null;
  /** Until when matching is not to see him, domain ms; null: he is believed. */
  distrustedUntil: number | null;
  /** When others may let him be, as Redis was told, domain ms. */
  overdueAt: number;
  /** Whether matching sees him is written one after the other. */
  tail: Promise<void>;
}

const SETTLED = Promise.resolve();

export const newDriver = (position: Position): DriverWatch => ({
  driverId: position.driverId,
  heardAt: 0,
  last: position,
  heard: 0,
  keptAt: 0,
  cleansing: freshState(),
  spoof: freshSpoof(),
  inside: null,
  isReading: false,
  ride: null,
  distrustedUntil: null,
  overdueAt: 0,
  tail: SETTLED,
});

/** Begins with where the driver is now. */
export function newRide({ driverId, last }: DriverWatch, bound: BoundRide): RideWatch {
  const { tripId, riderId, city } = bound;
  const { lat, lng, recordedAt: at, accuracyM, source } = last;
  const safety = { ...freshSafety(), start: { lat, lng }, last: { lat, lng, at, accuracyM, source } };
  const ride = { tripId, riderId, driverId, city, bound, safety };
  return { ...ride, way: null, plannedM: 0, drivenM: 0, isReady: false, tail: Promise.resolve() };
}

/** Where a car was, for what is said of its ride. */
export const lastSeen = (position: Position): Sighting => sighting(position);

/** As it is stored: what the device did not tell is left out. */
export function pointOf({ lat, lng, recordedAt: at, speedMps, headingDeg, accuracyM }: Position): TrackPoint {
  const point: TrackPoint = { at, lat, lng };
  if (speedMps !== undefined) point.speedMps = speedMps;
  if (headingDeg !== undefined) point.headingDeg = headingDeg;
  if (accuracyM !== undefined) point.accuracyM = accuracyM;
  return point;
}
