/**
 * Check-ins of trips: what detectors raise is written first, then the rider is asked, the driver told, and whatever stays
 * unanswered becomes an SOS. Every step is one write with its events; what they lead to can be repeated.
 */
import { RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { OutboundMessages, Publisher } from '../../ports/publisher.ts';
import type { Scheduler } from '../../ports/scheduler.ts';
import type { Collection, Filter, OutboxEvent, Page } from '../../ports/store.ts';
import { checkVersion, LOST, put, untilWritten } from '../documents/writing.ts';
import { type Ids, shardKeyOf } from '../ids.ts';
import type { Relay } from '../outbox/relay.ts';
import { isOperator, type Principal } from '../roles.ts';
import type { Hazard, Warning } from '../safety/rules.ts';
import type { Sos } from '../sos/service.ts';
import type { TelematicsDesk } from '../telematics/service.ts';
import type { Trips } from '../trips/service.ts';
import type { CheckIn } from './check-in.ts';
import { partiesOf, type WatchedRide } from './parties.ts';
import {
  type CheckInCommand,
  type CheckInEvent,
  type CheckInState,
  type CheckInStatus,
  calm,
  decideCheckIn,
  evolveCheckIn,
  ridersOf,
} from './rules.ts';

export interface CheckInsDeps {
  checkIns: Collection<CheckIn>;
  trips: Pick<Trips, 'any' | 'follow'>;
  sos: Pick<Sos, 'trigger' | 'find'>;
  telematics: Pick<TelematicsDesk, 'shown'>;
  relay: () => Relay;
  scheduler: Scheduler;
  publisher: Publisher;
  clock: Clock;
  ids: Ids;
  /** How long the rider may think, domain milliseconds. */
  answerMs: number;
  /** Counts an event by its type. */
  onEvent(type: CheckInEvent['type']): void;
}

const EVIDENCE_MAX = 50;
const HISTORY_MAX = 200;

/** What the riders and drivers are told of; operators are told of everything. */
const TOLD: ReadonlySet<CheckInEvent['type']> = new Set([
  'asked',
  'confirmed_safe',
  'withdrawn',
  'escalated',
  'closed',
]);

type Told = OutboundMessages['check_in'];

export type CheckIns = ReturnType<typeof createCheckIns>;

export function createCheckIns(deps: CheckInsDeps) {
  const { checkIns, clock, ids, publisher } = deps;

  const notFound = (tripId: string): RideError =>
    new RideError('RIDE_NOT_FOUND', `Trip ${tripId} has had no check-in`, {
      field: 'trip_id',
      rule: 'the id of a trip with a check-in',
    });

  function refused(reason: 'not_a_party' | 'not_asked', state: CheckIn): RideError {
    if (reason === 'not_a_party')
      return new RideError('RIDE_FORBIDDEN', 'Only the rider and the driver of the trip answer its check-in', {
        field: 'trip_id',
        rule: 'a trip of the caller',
      });
    return new RideError('RIDE_ILLEGAL_TRANSITION', `The check-in is ${state.status}`, {
      field: 'round',
      rule: 'the round of the open question',
      facts: { status: state.status, round: state.round },
    });
  }

  /** The document with what the events make of it. */
  function next(document: CheckIn, events: readonly CheckInEvent[], warning: Warning | null): CheckIn {
    const state = events.reduce<CheckInState>(evolveCheckIn, document) as CheckIn;
    return {
      ...state,
      updatedAt: clock.now(),
      seq: document.seq + events.length,
      history: [...document.history, ...events].slice(-HISTORY_MAX),
      evidence: warning ? [...document.evidence, warning].slice(-EVIDENCE_MAX) : document.evidence,
      place: warning?.place ?? document.place,
    };
  }

  function toOutbox(document: CheckIn, events: readonly CheckInEvent[]): OutboxEvent[] {
    const { id: tripId, riderId, passengerIds, driverId, city, status, present, deadline, place, seq } = document;
    const parties = { riderId, driverId, ...(passengerIds ? { passengerIds } : {}) };
    return events.map((event, index) => ({
      id: ids.next('evt'),
      seq: seq - events.length + index + 1,
      type: `check_in.${event.type}`,
      at: event.at,
      data: { ...event, tripId, ...parties, city, status, present, deadline, place },
    }));
  }

  function begin({ tripId, riderId, driverId, city }: WatchedRide): CheckIn {
    return {
      id: tripId,
      ...shardKeyOf(tripId, ids.region, clock.now()),
      version: 1,
      ...calm(riderId, driverId),
      city,
      evidence: [],
      place: null,
      history: [],
      seq: 0,
      updatedAt: clock.now(),
    };
  }

  /** Another driver may have taken the trip over since, and others be on board. */
  function withParties(state: CheckIn, { driverId, passengerIds }: WatchedRide): CheckIn {
    const current = { ...state, driverId: driverId || state.driverId };
    return passengerIds ? { ...current, passengerIds: [...passengerIds] } : current;
  }

  /** @param ride begins a check-in where there is none. Null: there is none, and none begins. */
  function run(
    tripId: string,
    command: CheckInCommand,
    ride: WatchedRide | null,
    warning: Warning | null = null,
    expectedVersion?: number,
  ): Promise<CheckIn | null> {
    return untilWritten('check-in', async () => {
      const stored = await checkIns.get(tripId);
      const state = stored ?? (ride && begin(ride));
      if (!state) return null;
      const current = ride ? withParties(state, ride) : state;
      const decision = decideCheckIn(current, command, clock.now(), deps.answerMs);
      if ('refusal' in decision) throw refused(decision.refusal, current);
      checkVersion('check-in', current, expectedVersion, { status: current.status });
      if (decision.events.length === 0) return stored;
      const document = { ...next(current, decision.events, warning), version: stored ? stored.version + 1 : 1 };
      const events = toOutbox(document, decision.events);
      if (!(await put(checkIns, stored, document, events))) return LOST;
      deps.relay().kick(tripId, events);
      for (const { type } of decision.events) deps.onEvent(type);
      return document;
    });
  }

  return {
    /** A detector's signal changed. @throws RideError RIDE_CONFLICT, RIDE_UNAVAILABLE; it can be repeated */
    async warned(ride: WatchedRide, warning: Warning): Promise<void> {
      const { hazard } = warning;
      if (warning.change === 'cleared') {
        await run(ride.tripId, { type: 'clear', hazard }, null, warning);
        return;
      }
      const trip = ride.riderId === '' ? await deps.trips.any(ride.tripId) : null;
      const asked = trip ? partiesOf(trip) : ride;
      if (asked) await run(ride.tripId, { type: 'raise', hazard }, asked, warning);
    },

    /** Hazards that are raised for a trip, for a node that begins to watch it. @throws RideError RIDE_UNAVAILABLE */
    async present(tripId: string): Promise<readonly Hazard[]> {
      return (await checkIns.get(tripId))?.present ?? [];
    },

    /**
     * The rider, a passenger on board, or the driver, says whether all is well.
     * @throws RideError RIDE_NOT_FOUND, RIDE_FORBIDDEN, RIDE_ILLEGAL_TRANSITION (facts: status, round), RIDE_PRECONDITION_FAILED
     *   when `expectedVersion` is not the stored one, RIDE_CONFLICT
     */
    async answer(
      principal: Principal,
      tripId: string,
      round: number,
      isSafe: boolean,
      expectedVersion?: number,
    ): Promise<CheckIn> {
      const command = { type: 'answer', userId: principal.userId, round, isSafe } as const;
      // Who needs help gets it also when nothing was found on the trip.
      const ride = isSafe ? null : partiesOf(await deps.trips.follow(principal, tripId));
      const answered = await run(tripId, command, ride, null, expectedVersion);
      if (answered) return answered;
      throw notFound(tripId);
    },

    /** The question of this round was not answered in time; does nothing when it was, or is early. */
    expire: async (tripId: string, round: number): Promise<void> =>
      void (await run(tripId, { type: 'expire', round }, null)),

    /** The trip is over: nobody is asked any more. */
    end: async (tripId: string): Promise<void> => void (await run(tripId, { type: 'end' }, null)),

    /** An operator closed an SOS: whatever became it is closed with it, and may ask anew. Safe to repeat. */
    async alertClosed(alertId: string, actorId: string): Promise<void> {
      const { items } = await checkIns.page({ where: { alertId }, pageSize: 100 });
      for (const { id } of items) await run(id, { type: 'close', alertId, actorId }, null);
    },

    /** @throws RideError RIDE_NOT_FOUND, also when the trip has had none; RIDE_FORBIDDEN */
    async get(principal: Principal, tripId: string): Promise<CheckIn> {
      await deps.trips.follow(principal, tripId);
      const checkIn = await checkIns.get(tripId);
      if (!checkIn) throw notFound(tripId);
      const isParty = [...ridersOf(checkIn), checkIn.driverId].includes(principal.userId);
      if (!isParty && !isOperator(principal.role)) throw refused('not_a_party', checkIn);
      return checkIn;
    },

    list(query: { status?: CheckInStatus; pageSize: number; pageToken?: string }): Promise<Page<CheckIn>> {
      const where: Record<string, Filter[string]> = {};
      if (query.status) where.status = query.status;
      return checkIns.page({
        where,
        orderBy: 'updatedAt',
        pageSize: query.pageSize,
        pageToken: query.pageToken,
      });
    },

    /** Questions whose time is over and whose job was lost; resolves how many. */
    async sweep(ageMs: number): Promise<number> {
      const where = { status: 'asked', deadline: { lt: clock.now() - ageMs } };
      const { items } = await checkIns.page({ where, orderBy: 'deadline', direction: 'asc', pageSize: 200 });
      for (const { id, round } of items) await run(id, { type: 'expire', round }, null);
      return items.length;
    },

    async publish(outbox: OutboxEvent): Promise<'published'> {
      const event = outbox.data as unknown as CheckInEvent & Omit<CheckIn, 'id'> & { tripId: string };
      const message: Told = {
        tripId: event.tripId,
        round: event.round,
        type: event.type,
        status: event.status,
        hazards: event.present,
        hazard: event.hazard ?? '',
        reason: event.reason ?? '',
        deadline: event.deadline ?? 0,
        place: event.place && (await deps.telematics.shown(event.driverId, event.place)),
        riderId: event.riderId,
        driverId: event.driverId,
        at: event.at,
      };
      if (TOLD.has(event.type)) {
        // Each topic has its own memory of events, so the two copies have ids of their own.
        for (const riderId of ridersOf(event))
          await publisher.publishOrdered(`user:${riderId}`, 'check_in', { ...message, riderId }, `${outbox.id}.rider`);
        await publisher.publishOrdered(`user:${event.driverId}`, 'check_in', message, `${outbox.id}.driver`);
      }
      publisher.publishLatest(`city:${event.city}`, 'check_in', message, outbox.id);
      return 'published';
    },

    async react(outbox: OutboxEvent): Promise<void> {
      const event = outbox.data as unknown as CheckInEvent & Omit<CheckIn, 'id'> & { tripId: string };
      const { tripId, round } = event;
      if (event.type === 'asked') {
        // Not before its time, which a job that was early would let pass.
        const delayMs = Math.max(0, event.deadline - clock.now()) + 1;
        await deps.scheduler.schedule('check_in_expiry', { tripId, round }, delayMs, `${tripId}-${round}`);
      }
      if (event.type !== 'escalated') return;
      const isDriver = event.actorId !== undefined && event.actorId === event.driverId;
      const riders = ridersOf(event);
      const caller: Principal = {
        userId: event.actorId ?? riders[0]!,
        role: isDriver ? 'driver' : 'rider',
        city: event.city,
        vehicleClass: 'standard',
        expiresAt: Number.MAX_SAFE_INTEGER,
        premium: false,
      };
      const aboard = event.passengerIds ? `; ${riders.length} on board` : '';
      const note = `check-in: ${event.reason}; ${event.present.join(', ') || 'no hazard now'}${aboard}`;
      // The same escalation told again is the same alert, also when that was closed meanwhile.
      const deed = outbox.id.replace(/^evt_/, 'sos_');
      const call = { tripId, position: event.place, positionOf: event.driverId, note };
      const alertId = await deps.sos.trigger(caller, call, deed);
      await run(tripId, { type: 'alert', alertId, escalatedAt: event.at }, null);
      // Who closed it before this was written down has not found the check-in.
      const alert = await deps.sos.find(alertId);
      if (alert?.status === 'resolved')
        await run(tripId, { type: 'close', alertId, actorId: alert.resolvedBy ?? '' }, null);
    },
  };
}
