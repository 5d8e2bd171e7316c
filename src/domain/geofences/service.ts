/**
 * Geofences: kept in the store, indexed by H3 in every node, crossings told once. A node learns of its own changes at once and of
 * others' by asking for what changed lately.
 */
import { invalidInput, notFound, RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { FenceMarks } from '../../ports/fence-marks.ts';
import type { Position } from '../../ports/positions.ts';
import type { Publisher } from '../../ports/publisher.ts';
import type { Collection, Filter, OutboxEvent, Page } from '../../ports/store.ts';
import { checkVersion, isTaken } from '../documents/writing.ts';
import type { LatLng } from '../geo.ts';
import type { Idempotency, IdempotencyKey } from '../idempotency/service.ts';
import { type Ids, shardKeyOf } from '../ids.ts';
import { sighting } from '../locations/rules.ts';
import type { Relay } from '../outbox/relay.ts';
import { pagesOf, removeAll } from '../pages.ts';
import type { TelematicsDesk } from '../telematics/service.ts';
import { coverOf, FenceIndex, MAX_CELLS } from './cover.ts';
import type { Crossing, Geofence, Purpose } from './geofence.ts';
import { type Area, areaViolation } from './rules.ts';

export interface GeofencesDeps {
  geofences: Collection<Geofence>;
  crossings: Collection<Crossing>;
  relay: () => Relay;
  marks: FenceMarks;
  publisher: Publisher;
  clock: Clock;
  ids: Ids;
  idempotency: Idempotency;
  telematics: Pick<TelematicsDesk, 'shown'>;
  /** Counts a crossing by its type. */
  onCrossing(type: Crossing['type']): void;
}

export interface GeofenceInput {
  name: string;
  city: string;
  purpose: Purpose;
  area: Area;
  exitMarginM: number;
}

/** Geofences that may have been written a moment before they could be seen: asked for again, domain ms. */
const OVERLAP_MS = 60_000;
const PAGE = 200;

/** @throws RideError RIDE_INVALID_INPUT for what H3 refuses, such as an outline that crosses itself */
function cover(area: Area): Set<string> | null {
  try {
    return coverOf(area);
  } catch (cause) {
    const rule = 'an area that can be covered by H3 cells';
    throw new RideError('RIDE_INVALID_INPUT', `geometry must be ${rule}`, { field: 'geometry', rule, cause });
  }
}

export type Geofences = ReturnType<typeof createGeofences>;

export function createGeofences(deps: GeofencesDeps) {
  const { geofences, crossings, marks, clock, ids } = deps;
  const index = new FenceIndex();
  /** The newest change that this node has seen. */
  let seenAt = 0;

  function check({ area }: GeofenceInput): void {
    const violation = areaViolation(area);
    if (violation) throw invalidInput('geometry', violation);
    const cells = cover(area);
    if (!cells) throw invalidInput('geometry', `an area of at most ${MAX_CELLS} H3 cells of resolution 8`);
    if (cells.size === 0) throw invalidInput('geometry', 'an area that touches an H3 cell');
  }

  async function mustGet(id: string): Promise<Geofence> {
    const fence = await geofences.get(id);
    if (fence && !fence.isRemoved) return fence;
    throw notFound('geofence', id);
  }

  async function change(id: string, expectedVersion: number | undefined, to: Partial<Geofence>): Promise<Geofence> {
    for (;;) {
      const fence = await mustGet(id);
      checkVersion('geofence', fence, expectedVersion);
      const next: Geofence = { ...fence, ...to, version: fence.version + 1, updatedAt: clock.now() };
      if (!(await geofences.compareAndSet(next))) continue;
      index.put(next);
      return next;
    }
  }

  function crossing(position: Position, fence: Geofence, type: Crossing['type'], enteredAt?: number): Crossing {
    const id = ids.next('crs');
    const { driverId, tripId, recordedAt } = position;
    return {
      id,
      ...shardKeyOf(id, ids.region, clock.now()),
      version: 1,
      geofenceId: fence.id,
      geofenceName: fence.name,
      purpose: fence.purpose,
      city: fence.city,
      driverId,
      tripId,
      type,
      at: recordedAt,
      place: sighting(position),
      ...(enteredAt === undefined ? {} : { insideMs: Math.max(0, recordedAt - enteredAt) }),
    };
  }

  async function tell(document: Crossing): Promise<void> {
    const event: OutboxEvent = {
      id: ids.next('evt'),
      seq: 1,
      type: `geofence.${document.type}`,
      at: document.at,
      data: { ...document },
    };
    await crossings.insert(document, [event]);
    deps.relay().kick(document.id, [event]);
    deps.onCrossing(document.type);
  }

  /** Null when a request with the same key made it. */
  async function make(id: string, input: GeofenceInput): Promise<Geofence | null> {
    const now = clock.now();
    const place = shardKeyOf(id, ids.region, now);
    const fence: Geofence = { id, ...place, version: 1, ...input, isRemoved: false, updatedAt: now };
    try {
      await geofences.insert(fence);
    } catch (error) {
      if (isTaken(error)) return null;
      throw error;
    }
    index.put(fence);
    return fence;
  }

  /** Cities whose geofence of that purpose holds a place. Where they overlap the one drawn first comes first, so that every node says the same. */
  const citiesAt = ({ lat, lng }: LatLng): string[] =>
    index
      .at(lat, lng)
      .filter(({ purpose }) => purpose === 'city')
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map(({ city }) => city);

  return {
    index,
    citiesAt,

    /**
     * The city of a place: where it lies, as far as cities are drawn; elsewhere what is stated, or else `own`.
     * @param field where it was stated @throws RideError RIDE_INVALID_INPUT when the place lies in another city than is stated
     */
    cityOf(place: LatLng, stated: string | undefined, own: string, field = 'city'): string {
      const cities = citiesAt(place);
      const [first] = cities;
      if (first === undefined) return stated ?? own;
      if (stated === undefined) return first;
      if (cities.includes(stated)) return stated;
      throw invalidInput(field, `the city in which the place lies: ${cities.join(' or ')}`);
    },

    /**
     * A repeat is answered with the geofence as it is now, also when it was removed.
     * @throws RideError RIDE_INVALID_INPUT (geometry), RIDE_IDEMPOTENCY_MISMATCH, RIDE_UNAVAILABLE
     */
    async create(input: GeofenceInput, key?: IdempotencyKey): Promise<{ fence: Geofence; created: boolean }> {
      const { made: fence, created } = await deps.idempotency.once(key, {
        prepare: () => check(input),
        newId: () => ids.next('gfn'),
        find: (id) => geofences.get(id),
        make: (id) => make(id, input),
      });
      return { fence, created };
    },

    /** @throws RideError RIDE_NOT_FOUND, RIDE_INVALID_INPUT, RIDE_PRECONDITION_FAILED, RIDE_UNAVAILABLE */
    async replace(id: string, input: GeofenceInput, expectedVersion?: number): Promise<Geofence> {
      check(input);
      return change(id, expectedVersion, input);
    },

    /** Whoever is inside then leaves it without a word. @throws as `replace` */
    remove: (id: string, expectedVersion?: number): Promise<Geofence> =>
      change(id, expectedVersion, { isRemoved: true }),

    get: mustGet,

    list(query: { city?: string; pageSize: number; pageToken?: string }): Promise<Page<Geofence>> {
      const where: Record<string, Filter[string]> = { isRemoved: false };
      if (query.city) where.city = query.city;
      return geofences.page({
        where,
        pageSize: query.pageSize,
        pageToken: query.pageToken,
      });
    },

    /** Whether a city is drawn anywhere: asked of the store, for this node may not have heard of it yet. @throws RideError RIDE_UNAVAILABLE */
    async isDrawn(city: string): Promise<boolean> {
      const where = { city, purpose: 'city', isRemoved: false };
      return (await geofences.page({ where, pageSize: 1 })).items.length > 0;
    },

    crossings: (id: string, query: { pageSize: number; pageToken?: string }): Promise<Page<Crossing>> =>
      crossings.page({
        where: { geofenceId: id },
        pageSize: query.pageSize,
        pageToken: query.pageToken,
      }),

    /** Learns what changed; resolves how many geofences did. @throws RideError RIDE_UNAVAILABLE */
    async refresh(): Promise<number> {
      const where = { updatedAt: { gte: seenAt - OVERLAP_MS } };
      const query = { where, orderBy: 'updatedAt', direction: 'asc', pageSize: PAGE } as const;
      let changed = 0;
      for await (const page of pagesOf((token) => geofences.page({ ...query, ...token }))) {
        for (const fence of page) {
          if ((index.fence(fence.id)?.version ?? 0) < fence.version && !fence.isRemoved) changed++;
          index.put(fence);
          // A clock that runs ahead must not hide what others write.
          seenAt = Math.max(seenAt, Math.min(fence.updatedAt, clock.now()));
        }
      }
      return changed;
    },

    /** Which geofences a driver is marked as inside of. @throws RideError RIDE_UNAVAILABLE */
    insideOf: (driverId: string): Promise<Map<string, number>> => marks.of(driverId),

    /** @throws RideError RIDE_UNAVAILABLE: nothing was told, and it can be tried again */
    async entered(position: Position, fence: Geofence): Promise<void> {
      const { driverId, recordedAt } = position;
      if (!(await marks.enter(driverId, fence.id, recordedAt))) return;
      try {
        await tell(crossing(position, fence, 'entered'));
      } catch (error) {
        await marks.leave(driverId, fence.id);
        throw error;
      }
    },

    /** `enteredAt` epoch ms. @throws as `entered` */
    async left(position: Position, fenceId: string, enteredAt: number): Promise<void> {
      const { driverId } = position;
      const isFirst = await marks.leave(driverId, fenceId);
      const fence = index.fence(fenceId);
      if (!isFirst || !fence) return;
      try {
        await tell(crossing(position, fence, 'exited', enteredAt));
      } catch (error) {
        await marks.enter(driverId, fenceId, enteredAt);
        throw error;
      }
    },

    /** To the city's operators and to the driver, as it happens. */
    async publish(event: OutboxEvent): Promise<'published'> {
      const c = event.data as unknown as Crossing;
      const { geofenceId, geofenceName: name, purpose, city, driverId, tripId, type, at, place, insideMs = 0 } = c;
      const shown = await deps.telematics.shown(driverId, { recordedAt: at, ...place });
      const message = { geofenceId, name, purpose, city, driverId, tripId, type, at, place: shown, insideMs };
      deps.publisher.publishLatest(`city:${city}`, 'geofence_event', message, event.id);
      deps.publisher.publishLatest(`user:${driverId}`, 'geofence_event', message, event.id);
      return 'published';
    },

    /** Removes crossings that are older; resolves how many. */
    forget: (beforeMs: number): Promise<number> =>
      removeAll((limit) => crossings.remove({ createdAt: { lt: beforeMs } }, limit)),
  };
}
