/**
 * What this node itself must know of trips whose driver is connected here: his location binding follows the trip's status,
 * and a driver who gave a trip up stops hearing of it.
 */
import { fromBinary } from '@bufbuild/protobuf';
import type { Broker } from './broker.ts';
import type { Frame } from './frame.ts';
import { ServerEnvelopeSchema } from './generated/ride/v1/ride_pb.js';
import type { Services } from './messages/definition.ts';

export interface TripTapOptions {
  locations: Pick<Services['locations'], 'onTripEvent'>;
  broker(): Broker;
}

export function createTripTap({ locations, broker }: TripTapOptions): (frame: Frame) => void {
  return (frame) => {
    const { topic } = frame;
    if (frame.kind !== 'trip_event' || !topic.startsWith('user:')) return;
    const { payload } = fromBinary(ServerEnvelopeSchema, frame.binary);
    if (payload.case !== 'tripEvent') return;
    const { tripId, type, status } = payload.value;
    const driverId = topic.slice('user:'.length);
    locations.onTripEvent(driverId, tripId, status as Parameters<Services['locations']['onTripEvent']>[2]);
    if (type !== 'driver_cancelled') return;
    for (const session of broker().sessionsOf(driverId)) broker().unsubscribe(session, `trip:${tripId}`);
  };
}
