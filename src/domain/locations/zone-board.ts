/**
 * What moved in each zone since the last broadcast. Peers of a zone and the operators' map get at most one broadcast a zone,
 * node and interval, however many drivers there are, so the cost grows with the zones and not with the square of drivers. Of many
 * drivers it is several messages: one message of a whole city would overfill the outbound buffer of every follower.
 */
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Position, Positions } from '../../ports/positions.ts';
import type { OutboundMessages, Publisher } from '../../ports/publisher.ts';
import type { Drivers } from '../drivers/service.ts';
import { Recent } from '../recent.ts';
import type { TelematicsDesk } from '../telematics/service.ts';

type Moved = OutboundMessages['zone_broadcast']['positions'][number];

export interface ZoneBoard {
  /** A driver said where he is; `isOnTrip`: as the driver of one. */
  moved(position: Position, isOnTrip: boolean): void;
  /** Publishes what moved since the last flush, but for who is not on duty. Never rejects: what could not be told waits. */
  flush(): Promise<void>;
}

export interface ZoneBoardDeps {
  publisher: Publisher;
  /** Knows who is available, as every node does. */
  positions: Pick<Positions, 'areAvailable'>;
  drivers: Pick<Drivers, 'getMany'>;
  telematics: Pick<TelematicsDesk, 'freshnessHere'>;
  clock: Clock;
  zoneOf(lat: number, lng: number): string;
  /** Drivers of one message. */
  batchMax: number;
  log: Logger;
}

/** What a driver's document says is remembered for so long at least, domain ms. */
const KNOWN_MS = 5000;
/** Documents that one flush reads; the others are for the next. */
const LOOKED_AT = 500;

export function createZoneBoard(deps: ZoneBoardDeps): ZoneBoard {
  const { publisher, clock, telematics, batchMax } = deps;
  let byDriver = new Map<string, Moved>();
  let flushing: Promise<void> | null = null;
  const known = new Recent<{ isOnTrip: boolean }>(KNOWN_MS, () => clock.now());

  function publishGroups(topicKind: 'zone' | 'city', all: readonly Moved[], keyOf: (p: Position) => string): void {
    const groups = new Map<string, Moved[]>();
    for (const moved of all) {
      const key = keyOf(moved.position);
      const group = groups.get(key);
      if (group) group.push(moved);
      else groups.set(key, [moved]);
    }
    for (const [key, positions] of groups) {
      const zone = topicKind === 'zone' ? key : '';
      const { city } = positions[0]!.position;
      for (let from = 0; from < positions.length; from += batchMax) {
        const part = positions.slice(from, from + batchMax);
        publisher.publishLatest(`${topicKind}:${key}`, 'zone_broadcast', { zone, city, positions: part });
      }
    }
  }

  /** Which of these are on a trip though their positions do not say so: by their documents, as they were some seconds ago. */
  async function onTrip(driverIds: readonly string[]): Promise<Set<string>> {
    const unknown = driverIds.filter((id) => !known.has(id)).slice(0, LOOKED_AT);
    if (unknown.length > 0) {
      const found = new Map((await deps.drivers.getMany(unknown)).map((driver) => [driver.id, driver]));
      for (const id of unknown) known.set(id, { isOnTrip: (found.get(id)?.activeTripId ?? null) !== null });
    }
    return new Set(driverIds.filter((id) => known.peek(id)?.isOnTrip));
  }

  /** Parts those to be told of from those who are off duty, or not believed, as far as is known yet. */
  async function sortOut(all: readonly Moved[]): Promise<{ told: Moved[]; others: Moved[] }> {
    const idle = all.filter(({ status }) => status !== 'on_trip');
    if (idle.length === 0) return { told: [...all], others: [] };
    const answers = await deps.positions.areAvailable(idle.map(({ position }) => position.driverId));
    const unavailable = idle.filter((_, index) => !answers[index]);
    const driving = await onTrip(unavailable.map(({ position }) => position.driverId));
    for (const moved of unavailable) if (driving.has(moved.position.driverId)) moved.status = 'on_trip';
    const others = unavailable.filter(({ status }) => status !== 'on_trip');
    const left = new Set(others);
    return { told: all.filter((moved) => !left.has(moved)), others };
  }

  /** Whoever moved again meanwhile is told of as he is now. */
  function putBack(waiting: readonly Moved[]): void {
    byDriver = new Map([...waiting.map((moved) => [moved.position.driverId, moved] as const), ...byDriver]);
  }

  async function publish(): Promise<void> {
    const taken = [...byDriver.values()];
    byDriver = new Map();
    let sorted: Awaited<ReturnType<typeof sortOut>>;
    try {
      sorted = await sortOut(taken);
    } catch (error) {
      deps.log.debug({ err: error }, 'who is on duty is not known; zones are told of it later');
      putBack(taken);
      return;
    }
    const { told, others } = sorted;
    // Who goes on duty now need not move to be seen.
    putBack(others.filter(({ position }) => !telematics.freshnessHere(position).stale));
    for (const moved of told) Object.assign(moved, telematics.freshnessHere(moved.position));
    publishGroups('zone', told, (p) => deps.zoneOf(p.lat, p.lng));
    publishGroups('city', told, (p) => p.city);
  }

  return {
    moved(position, isOnTrip) {
      const status = isOnTrip ? 'on_trip' : 'available';
      byDriver.set(position.driverId, { position, status, ageMs: 0, stale: false });
    },
    flush() {
      if (flushing) return flushing;
      if (byDriver.size === 0) return Promise.resolve();
      flushing = publish().finally(() => {
        flushing = null;
      });
      return flushing;
    },
  };
}
