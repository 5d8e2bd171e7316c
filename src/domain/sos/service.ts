/**
 * SOS: stored before anyone is told (property 3), and repeats of a panicking user fold into one alert. The fact "this user
 * has an open alert" is owned by one document per user and changed by compare-and-set; that an alert is over, by the alert itself, so
 * that who calls for help just then is never told of one that nobody looks at any more.
 */
import { invalidInput, RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Publisher } from '../../ports/publisher.ts';
import type { SosTracking } from '../../ports/sos-tracking.ts';
import type { Collection, CollectionSpec, Filter, OutboxEvent, Page, StoredDocument } from '../../ports/store.ts';
import { isDeparture } from '../departures/departure.ts';
import { isPassenger } from '../departures/rules.ts';
import { checkVersion, isTaken, LOST, untilWritten } from '../documents/writing.ts';
import { type Ids, shardKeyOf } from '../ids.ts';
import { limits, placeViolation, type Shown, type Sighting, sighting } from '../locations/rules.ts';
import type { Relay } from '../outbox/relay.ts';
import { isOperator, type Principal } from '../roles.ts';
import type { TelematicsDesk } from '../telematics/service.ts';
import type { Trips } from '../trips/service.ts';
import { Alarmed } from './alarmed.ts';
import type { SosDocument, SosStatus } from './schemas.ts';

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
  telematics: Pick<TelematicsDesk, 'shown'>;
  clock: Clock;
  ids: Ids;
  log: Logger;
  /** An alert was resolved. Called again until it succeeds, and perhaps after that. */
  closed(alertId: string, by: string): Promise<void>;
}

export interface SosInput {
  tripId: string;
  /** His own without `recordedAt` is where he is now. */
  position: Sighting | null;
  /** Whose device measured it, where it was not his own. */
  positionOf?: string;
  note: string;
}

const MAX_NOTE = 1000;
const MAX_TRIP_ID = 128;

export type Sos = ReturnType<typeof createSos>;

/** Where a caller says he is: measured now at the latest. No call is refused for an instant or an accuracy that cannot be. */
function measured(place: Sighting, now: number): Sighting {
  const { recordedAt = now, accuracyM = -1 } = place;
  const { min, max } = limits.accuracyM;
  return sighting({
    ...place,
    recordedAt: recordedAt > 0 ? Math.min(recordedAt, now) : now,
    accuracyM: accuracyM >= min && accuracyM <= max ? accuracyM : undefined,
  });
}

export function createSos(deps: SosDeps) {
  const { alerts, desks, trips, relay, tracking, publisher, telematics, clock, ids, log, closed } = deps;
  const alarmed = new Alarmed(alerts);

  /** Where a call came from, as it is shown now: also while Redis is away, but for why it is stale. */
  const place = async ({ userId, positionOf = userId, position }: SosDocument): Promise<Shown | null> =>
    position && telematics.shown(positionOf, position);

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

  /** The next call of the user is another alert. Safe to repeat. */
  async function freeDesk(userId: string, alertId: string): Promise<void> {
    for (;;) {
      const desk = await desks.get(userId);
      if (desk?.openAlertId !== alertId) return;
      if (await desks.compareAndSet({ ...desk, version: desk.version + 1, openAlertId: null })) return;
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

  async function mustGet(alertId: string): Promise<SosDocument> {
    const alert = await alerts.get(alertId);
    if (alert) return alert;
    throw new RideError('RIDE_NOT_FOUND', `There is no alert ${alertId}`, {
      field: 'alert_id',
      rule: 'the id of an alert',
    });
  }

  /** The user's open alert, or one under the id `fresh`. */
  async function raise(principal: Principal, input: SosInput, fresh: string): Promise<{ id: string; isNew: boolean }> {
    const now = clock.now();
    const [id, isOwn] = await Promise.all([
      openAlert(principal.userId, fresh),
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
      ...(input.positionOf
        ? { position: input.position, positionOf: input.positionOf }
        : { position: input.position && measured(input.position, now) }),
      note: input.note,
    };
    const event: OutboxEvent = { id: ids.next('evt'), seq: 1, type: 'sos.triggered', at: now, data: { ...alert } };
    try {
      await alerts.insert(alert, [event]);
    } catch (error) {
      if (!isTaken(error)) throw error;
      return { id, isNew: false };
    }
    relay().kick(id, [event]);
    return { id, isNew: true };
  }

  /** By user. What he says while a call of his is being stored folds into it: it is not limited, and must not cost a write each. */
  const calling = new Map<string, Promise<string>>();

  async function call(principal: Principal, input: SosInput, deed?: string): Promise<string> {
    for (;;) {
      const { id, isNew } = await raise(principal, input, deed ?? ids.next('sos'));
      // A repeat: the alert is stored already and its announcement is on the way, unless it was just closed.
      if (isNew || id === deed || (await alerts.get(id))?.status !== 'resolved') return id;
      await freeDesk(principal.userId, id);
    }
  }

  return {
    alarmed,

    /**
     * Resolves the alert's id once it is stored.
     * @param deed id of the alert that this makes unless it folds into an open one; called again with it, it makes no other
     * @throws RideError RIDE_INVALID_INPUT, RIDE_UNAVAILABLE
     */
    async trigger(principal: Principal, input: SosInput, deed?: string): Promise<string> {
      const violation = input.position && placeViolation(input.position);
      if (violation) throw invalidInput(violation.field, violation.rule);
      if (input.tripId.length > MAX_TRIP_ID) throw invalidInput('trip_id', `at most ${MAX_TRIP_ID} characters`);
      if (input.note.length > MAX_NOTE) throw invalidInput('note', `at most ${MAX_NOTE} characters`);
      if (deed) return (await alerts.get(deed)) ? deed : call(principal, input, deed);
      const { userId } = principal;
      const before = calling.get(userId);
      if (before) return before;
      const mine = call(principal, input).finally(() => calling.delete(userId));
      calling.set(userId, mine);
      return mine;
    },

    /** For use inside the domain: no question of who asks. */
    find: (alertId: string): Promise<SosDocument | null> => alerts.get(alertId),

    /** @throws RideError RIDE_NOT_FOUND */
    get: mustGet,

    place,

    /** The newest first. */
    list(query: {
      status?: SosStatus | undefined;
      pageSize: number;
      pageToken?: string | undefined;
    }): Promise<Page<SosDocument>> {
      const where: Record<string, Filter[string]> = {};
      if (query.status) where.status = query.status;
      const { pageSize, pageToken } = query;
      return alerts.page({ where, pageSize, ...(pageToken ? { pageToken } : {}) });
    },

    /**
     * An operator says that it is over. A repeat answers with what is stored.
     * @throws RideError RIDE_NOT_FOUND, RIDE_PRECONDITION_FAILED (facts: version, status), RIDE_CONFLICT, RIDE_UNAVAILABLE
     */
    resolve(
      { userId: resolvedBy }: Principal,
      alertId: string,
      resolution?: string,
      expectedVersion?: number,
    ): Promise<SosDocument> {
      return untilWritten('alert', async () => {
        const alert = await mustGet(alertId);
        if (alert.status === 'resolved') return alert;
        checkVersion('alert', alert, expectedVersion, { status: alert.status });
        const now = clock.now();
        const next: SosDocument = {
          ...alert,
          version: alert.version + 1,
          status: 'resolved',
          resolvedBy,
          resolvedAt: now,
          ...(resolution ? { resolution } : {}),
        };
        const event = { id: ids.next('evt'), seq: 2, type: 'sos.resolved', at: now, data: { ...next } };
        if (!(await alerts.compareAndSet(next, [event]))) return LOST;
        relay().kick(alertId, [event]);
        return next;
      });
    },

    async publish(event: OutboxEvent) {
      const a = event.data as unknown as SosDocument;
      const { userId, role, tripId, claimedTripId = '', status, note } = a;
      const position = await place(a);
      const message = { alertId: a.id, tripId, claimedTripId, userId, role, status, position, note, at: a.createdAt };
      return publisher.publishOrdered('sos:alerts', 'sos_alert', message, event.id, {
        source: event.id,
        seq: 1,
        isSingle: true,
      });
    },

    async react(event: OutboxEvent): Promise<void> {
      const a = event.data as unknown as SosDocument;
      if (event.type === 'sos.resolved') {
        alarmed.closed(a.userId, a.id);
        await freeDesk(a.userId, a.id);
        await tracking.end(a.id);
        return closed(a.id, a.resolvedBy ?? '');
      }
      alarmed.opened(a.userId, a.id);
      await tracking.start({ alertId: a.id, tripId: a.tripId, startedAt: a.createdAt, lastLocation: a.position });
    },
  };
}
