/**
 * Writes of a departure: every command through one compare-and-set loop. The losing write of a race decides again on what the winner
 * left; events go to the document's own outbox.
 */
import { notFound, RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { DomainMeter } from '../../ports/domain-meter.ts';
import type { Collection, OutboxEvent } from '../../ports/store.ts';
import { eventsBetween } from '../bookings/counting.ts';
import { checkVersion, LOST, untilWritten } from '../documents/writing.ts';
import type { Ids } from '../ids.ts';
import type { Relay } from '../outbox/relay.ts';
import { type Departure, isDeparture } from './departure.ts';
import { type DepartureDecision, type DepartureEvent, type DepartureFact, evolveDeparture } from './rules.ts';

export interface ChangesDeps {
  /** The collection `trips`; what is no departure is not found. */
  departures: Collection<Departure>;
  relay: () => Relay;
  clock: Clock;
  ids: Ids;
  meter: Pick<DomainMeter, 'departure' | 'booking'>;
}

export interface Changed {
  departure: Departure;
  /** Whether this call changed it. */
  changed: boolean;
}

export type Decide = (departure: Departure, now: number) => DepartureDecision;
export type Changes = ReturnType<typeof createChanges>;

/** A popular departure has more who want the last seats at once than a trip has drivers. */
const ATTEMPTS = 64;

const FIELDS: Readonly<Record<string, { field: string; rule: string }>> = {
  RIDE_FORBIDDEN: { field: 'authorization', rule: 'of somebody who may' },
  RIDE_NOT_FOUND: { field: 'booking_id', rule: 'the id of a booking' },
  RIDE_SEATS_TAKEN: { field: 'seats', rule: 'at most as many as are free' },
  RIDE_PRECONDITION_FAILED: { field: 'If-Match', rule: 'the current version' },
};

export function createChanges({ departures, relay, clock, ids, meter }: ChangesDeps) {
  function toEvent(fact: DepartureFact, departure: Departure): DepartureEvent {
    const { status, version, seatsFree, history } = departure;
    return { ...fact, id: ids.next('evt'), seq: history.length + 1, status, version, seatsFree };
  }

  function toOutbox(departure: Departure, event: DepartureEvent): OutboxEvent {
    const data = { ...event, riderId: '', city: departure.source.city };
    return { id: event.id, seq: event.seq, type: `trip.${event.type}`, at: event.at, data };
  }

  async function get(id: string): Promise<Departure | null> {
    const departure = await departures.get(id);
    return departure && isDeparture(departure) ? departure : null;
  }

  /** @throws RideError RIDE_NOT_FOUND */
  async function mustGet(id: string): Promise<Departure> {
    const departure = await get(id);
    if (!departure) throw notFound('departure', id);
    return departure;
  }

  async function write(departure: Departure, facts: readonly DepartureFact[]): Promise<Departure | typeof LOST> {
    let next: Departure = { ...departure, version: departure.version + 1 };
    const outbox: OutboxEvent[] = [];
    for (const fact of facts) {
      next = evolveDeparture(next, fact);
      const event = toEvent(fact, next);
      next.history = [...next.history, event];
      outbox.push(toOutbox(next, event));
    }
    if (!(await departures.compareAndSet(next, outbox))) return LOST;
    for (const { type } of facts) meter.departure(type);
    for (const event of eventsBetween(departure.bookings, next.bookings)) meter.booking(event);
    relay().kick(next.id, outbox);
    return next;
  }

  return {
    get,
    mustGet,

    /** A new departure. @throws RideError RIDE_ALREADY_EXISTS */
    async add(departure: Departure, actorId: string): Promise<Departure> {
      const fact = { type: 'published', at: departure.createdAt, actorId, driverId: departure.driverId } as const;
      const event = toEvent(fact, departure);
      const added = { ...departure, history: [event] };
      const outbox = [toOutbox(added, event)];
      await departures.insert(added, outbox);
      meter.departure(fact.type);
      relay().kick(added.id, outbox);
      return added;
    },

    /**
     * @throws RideError RIDE_NOT_FOUND, RIDE_PRECONDITION_FAILED when `expectedVersion` is not the stored one, RIDE_CONFLICT after many
     *   lost races, and the refusal of `decide`, with what it knows and the version it looked at
     */
    change(id: string, decide: Decide, expectedVersion?: number): Promise<Changed> {
      const attempt = async (): Promise<Changed | typeof LOST> => {
        const departure = await mustGet(id);
        checkVersion('departure', departure, expectedVersion, { status: departure.status });
        const decision = decide(departure, clock.now());
        if ('refusal' in decision) {
          const { code, message, facts } = decision.refusal;
          throw new RideError(code, message, { ...FIELDS[code], facts: { ...facts, version: departure.version } });
        }
        if (decision.events.length === 0) return { departure, changed: false };
        const next = await write(departure, decision.events);
        return next === LOST ? LOST : { departure: next, changed: true };
      };
      return untilWritten('departure', attempt, { attempts: ATTEMPTS });
    },
  };
}
