/**
 * SOS: stored before anyone is told (property 3), and repeats of a panicking user fold into one alert. The fact "this user
 * has an open alert" is owned by one document per user and changed by compare-and-set.
 */
import { invalidInput } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Publisher } from '../../ports/publisher.ts';
import type { SosTracking } from '../../ports/sos-tracking.ts';
import type { Collection, CollectionSpec, OutboxEvent, StoredDocument } from '../../ports/store.ts';
import { isDeparture } from '../departures/departure.ts';
import { isPassenger } from '../departures/rules.ts';
import { isTaken } from '../documents/writing.ts';
import type { LatLng } from '../geo.ts';
import { type Ids, shardKeyOf } from '../ids.ts';
import { placeViolation } from '../locations/rules.ts';
import type { Relay } from '../outbox/relay.ts';
import { isOperator, type Principal } from '../roles.ts';
import type { Trips } from '../trips/service.ts';

export interface SosDocument extends StoredDocument {
  userId: string;
  role: string;
  /** The caller's own, or empty. */
  tripId: string;
  /** What he named, when it is not known to be his. Never more than a clue: nothing is done to, or told on, that trip. */
  claimedTripId?: string;
  status: 'active' | 'resolved';
  position: LatLng | null;
  note: string;
}

/** One per user that ever raised an alert; owns which alert is open. */
export interface SosDesk extends StoredDocument {
  openAlertId: string | null;
}

export const sosCollection: CollectionSpec<SosDocument> = {
  name: 'sosAlerts',
  indexes: [{ name: 'status_created', fields: ['status', 'createdAt'] }],
};
export const sosDeskCollection: CollectionSpec<SosDesk> = { name: 'sosDesks', indexes: [] };

export interface SosDeps {
  alerts: Collection<SosDocument>;
  desks: Collection<SosDesk>;
  trips: Pick<Trips, 'any'>;
  relay: () => Relay;
  tracking: SosTracking;
  publisher: Publisher;
  clock: Clock;
  ids: Ids;
  log: Logger;
}

export interface SosInput {
  tripId: string;
  position: LatLng | null;
  note: string;
}

const MAX_NOTE = 1000;
const MAX_TRIP_ID = 128;

export type Sos = ReturnType<typeof createSos>;

export function createSos({ alerts, desks, trips, relay, tracking, publisher, clock, ids, log }: SosDeps) {
  /** The id of the user's open alert: `fresh`, or the one that is open already. */
  async function openAlert(userId: string, fresh: string): Promise<string> {
    for (;;) {
      const desk = await desks.get(userId);
      if (desk?.openAlertId) return desk.openAlertId;
      if (desk) {
        if (await desks.compareAndSet({ ...desk, version: desk.version + 1, openAlertId: fresh })) return fresh;
        continue;
      }
      try {
        await desks.insert({
          id: userId,
          ...shardKeyOf(userId, ids.region, clock.now()),
          version: 1,
          openAlertId: fresh,
        });
        return fresh;
      } catch (error) {
        if (!isTaken(error)) throw error;
      }
    }
  }

  /** The trip is the caller's own, or he answers for any. An alert does not wait for the answer to be there. */
  async function isOwnTrip(principal: Principal, tripId: string): Promise<boolean> {
    try {
      const trip = await trips.any(tripId);
      if (!trip) return false;
      const { userId, role } = principal;
      if (isDeparture(trip) && isPassenger(trip, userId)) return true;
      return trip.riderId === userId || trip.driverId === userId || isOperator(role);
    } catch (error) {
      log.warn({ err: error, user_id: principal.userId }, 'the trip of an alert could not be looked up; it is a claim');
      return false;
    }
  }

  return {
    /** Resolves the alert's id once it is stored. @throws RideError RIDE_INVALID_INPUT, RIDE_UNAVAILABLE */
    async trigger(principal: Principal, input: SosInput): Promise<string> {
      const violation = input.position && placeViolation(input.position);
      if (violation) throw invalidInput(violation.field, violation.rule);
      if (input.tripId.length > MAX_TRIP_ID) throw invalidInput('trip_id', `at most ${MAX_TRIP_ID} characters`);
      if (input.note.length > MAX_NOTE) throw invalidInput('note', `at most ${MAX_NOTE} characters`);
      const now = clock.now();
      const [id, isOwn] = await Promise.all([
        openAlert(principal.userId, ids.next('sos')),
        input.tripId !== '' && isOwnTrip(principal, input.tripId),
      ]);
      const alert: SosDocument = {
        id,
        ...shardKeyOf(id, ids.region, now),
        version: 1,
        userId: principal.userId,
        role: principal.role,
        tripId: isOwn ? input.tripId : '',
        ...(isOwn || input.tripId === '' ? {} : { claimedTripId: input.tripId }),
        status: 'active',
        position: input.position,
        note: input.note,
      };
      const event: OutboxEvent = {
        id: ids.next('evt'),
        seq: 1,
        type: 'sos.triggered',
        at: now,
        data: { ...alert },
      };
      try {
        await alerts.insert(alert, [event]);
        relay().kick(id, [event]);
      } catch (error) {
        // A repeat: the alert is stored already and its announcement is on the way.
        if (!isTaken(error)) throw error;
      }
      return id;
    },

    async publish(event: OutboxEvent) {
      const a = event.data as unknown as SosDocument;
      const { userId, role, tripId, claimedTripId = '', status, position, note } = a;
      const message = { alertId: a.id, tripId, claimedTripId, userId, role, status, position, note, at: a.createdAt };
      return publisher.publishOrdered('sos:alerts', 'sos_alert', message, event.id);
    },

    async react(event: OutboxEvent): Promise<void> {
      const a = event.data as unknown as SosDocument;
      await tracking.start({ alertId: a.id, tripId: a.tripId, startedAt: a.createdAt, lastLocation: a.position });
    },
  };
}
