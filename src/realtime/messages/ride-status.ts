/** The sender's status, or a step of a trip by its driver. STATUS_LOOKING never creates a trip. */

import type { Shown } from '../../domain/deliveries/rules.ts';
import { invalidInput, RideError } from '../../errors.ts';
import { type RideStatus, Status } from '../generated/ride/v1/ride_pb.js';
import { defineClientMessage, type Reply, type Services, type SessionHandle } from './definition.ts';

const driverStatus = new Map([
  [Status.LOOKING, 'looking'],
  [Status.OFFLINE, 'offline'],
  [Status.BUSY, 'busy'],
] as const);

const tripStep = new Map([
  [Status.ARRIVED, 'arrive'],
  [Status.STARTED, 'start'],
  [Status.COMPLETED, 'complete'],
] as const);

/** What a porter shows at the door, with STATUS_COMPLETED. */
function shownIn({ proofCode, proofPhotoRef }: RideStatus): { shown?: Shown } {
  if (proofCode !== '') return { shown: { code: proofCode } };
  return proofPhotoRef === '' ? {} : { shown: { photoRef: proofPhotoRef } };
}

async function fromDriver(session: SessionHandle, payload: RideStatus, services: Services): Promise<Reply> {
  const { status, tripId } = payload;
  const step = tripStep.get(status as never);
  if (step) {
    if (tripId === '') throw invalidInput('trip_id', 'the id of the trip that this is a step of');
    const proof = step === 'complete' ? shownIn(payload) : {};
    await services.trips.command(tripId, { type: step, driverId: session.principal.userId, ...proof });
    return {};
  }
  const own = driverStatus.get(status as never);
  if (!own) throw invalidInput('status', 'a status other than STATUS_UNSPECIFIED');
  await services.drivers.setStatus(session.principal, own);
  return {};
}

async function fromRider(session: SessionHandle, status: Status, services: Services): Promise<Reply> {
  if (status === Status.OFFLINE) return {};
  if (status !== Status.LOOKING)
    throw new RideError('RIDE_FORBIDDEN', 'A rider may only be looking or offline', {
      field: 'status',
      rule: 'STATUS_LOOKING or STATUS_OFFLINE',
    });
  const open = await services.dispatch.lookFor(session.principal.userId);
  await Promise.all(open.map((trip) => session.subscribe(`trip:${trip.id}`)));
  return { accepted: open.length };
}

export const rideStatus = defineClientMessage({
  kind: 'ride_status',
  case: 'rideStatus',
  roles: ['driver', 'rider'],
  rate: 'general',
  doc: 'From a driver: on or off duty, or a step of his trip, of a delivery with its proof. From a rider: STATUS_LOOKING sends matches for his open trip.',
  example: { status: 'STATUS_LOOKING' },
  handle: (session, payload, services) =>
    session.principal.role === 'driver'
      ? fromDriver(session, payload, services)
      : fromRider(session, payload.status, services),
});
