/**
 * How right the estimates were: when a driver arrives or a ride ends, what was told is held against what it took, counted, and the
 * ride is a lesson about the traffic, for the engine as for the straight line. Runs on the trip's events; a repeat is not
 * learnt twice.
 */
import type { RoadLeg, RoutingMeter } from '../../ports/routing.ts';
import type { LatLng, TravelModel } from '../geo.ts';
import type { TripEvent } from '../trips/rules.ts';
import type { Trip } from '../trips/trip.ts';
import { STRAIGHT_LINE, straightLine, toWay } from './service.ts';
import type { Traffic } from './traffic.ts';

export interface AccuracyDeps {
  traffic: Traffic;
  travel: TravelModel;
  meter: Pick<RoutingMeter, 'arrived'>;
}

export function createAccuracy({ traffic, travel, meter }: AccuracyDeps) {
  function pickedUp(trip: Trip, arrivedAt: number): void {
    const assigned = trip.history.findLast(({ type }) => type === 'assigned');
    const offer = assigned?.offer;
    if (!assigned || !offer) return;
    meter.arrived('pickup', offer.source ?? STRAIGHT_LINE, offer.etaS, (arrivedAt - assigned.at) / 1000);
  }

  async function completed(trip: Trip, completedAt: number): Promise<void> {
    const startedAt = trip.startedAt;
    if (startedAt === undefined) return;
    const tookS = (completedAt - startedAt) / 1000;
    const { durationS, distanceM, source = STRAIGHT_LINE, baseS } = trip.estimate;
    meter.arrived('dropoff', source, durationS, tookS);
    const from: LatLng = trip.source;
    const { city } = trip.source;
    const teach = (name: string, base: RoadLeg): Promise<void> =>
      traffic.observe(name, city, trip.id, toWay(from, trip.destination, startedAt, base), tookS);
    await teach(STRAIGHT_LINE, straightLine(from, trip.destination, travel));
    if (source !== STRAIGHT_LINE && baseS !== undefined) await teach(source, { durationS: baseS, distanceM });
  }

  return {
    async react(trip: Trip, event: Pick<TripEvent, 'type' | 'at'>): Promise<void> {
      if (event.type === 'driver_arrived') pickedUp(trip, event.at);
      if (event.type === 'completed') await completed(trip, event.at);
    },
  };
}
