/**
 * What moved in each zone since the last broadcast. Peers of a zone and the operators' map get at most one broadcast a zone,
 * node and interval, however many drivers there are, so the cost grows with the zones and not with the square of drivers. Of many
 * drivers it is several messages: one message of a whole city would overfill the outbound buffer of every follower.
 */
import type { Clock } from '../../ports/clock.ts';
import type { Position } from '../../ports/positions.ts';
import type { OutboundMessages, Publisher } from '../../ports/publisher.ts';
import { freshnessOf } from './rules.ts';

type Moved = OutboundMessages['zone_broadcast']['positions'][number];

export interface ZoneBoard {
  moved(position: Position, status: 'available' | 'on_trip'): void;
  /** Publishes what moved since the last flush. */
  flush(): void;
}

export function createZoneBoard(
  publisher: Publisher,
  clock: Clock,
  freshnessMs: number,
  zoneOf: (lat: number, lng: number) => string,
  /** Drivers of one message. */
  batchMax: number,
): ZoneBoard {
  const byDriver = new Map<string, Moved>();

  function publishGroups(topicKind: 'zone' | 'city', keyOf: (p: Position) => string): void {
    const groups = new Map<string, Moved[]>();
    for (const moved of byDriver.values()) {
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

  return {
    moved(position, status) {
      byDriver.set(position.driverId, { position, status, ageMs: 0 });
    },
    flush() {
      if (byDriver.size === 0) return;
      const now = clock.now();
      for (const moved of byDriver.values())
        moved.ageMs = freshnessOf(moved.position.recordedAt, now, freshnessMs).ageMs;
      publishGroups('zone', (p) => zoneOf(p.lat, p.lng));
      publishGroups('city', (p) => p.city);
      byDriver.clear();
    },
  };
}
