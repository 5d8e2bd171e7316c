/**
 * Who is nearest in a GEO index. GEOSEARCH looks at everyone within its radius before it counts, so in a busy city most of its work is
 * about people who are too far away to be among the nearest. A search here begins in the circle that held enough of them around this
 * place the last time, and widens while it holds too few: the answer is that of the whole radius, for a part of the work.
 */
import type { LatLng } from '../../domain/geo.ts';
import { orAway } from './connection.ts';
import type { ScriptedRedis } from './scripts.ts';

/** Member and metres, nearest first. */
export type Near = [member: string, distance: string];

/** Places of about two kilometres share what is known of how close people are. */
const PLACES_PER_DEGREE = 50;
const MOST_PLACES = 10_000;
/** A circle is so much wider than the one that would just have done. */
const MARGIN = 1.3;
/** So much wider is the next, when it held too few. */
const WIDER = 3;
/** No circle is smaller: a crowd in one spot says nothing of the next street. */
const LEAST_M = 200;

export function createNearSearch(redis: ScriptedRedis, index: string) {
  /** Square of the metres around a place for each who was found there. */
  const roomOf = new Map<string, number>();

  function learn(place: string, found: readonly Near[], reachM: number, limit: number): void {
    const farM = found.length < limit ? reachM : Number(found.at(-1)![1]);
    roomOf.delete(place);
    roomOf.set(place, Math.max(1, farM) ** 2 / Math.max(1, found.length));
    if (roomOf.size > MOST_PLACES) roomOf.delete(roomOf.keys().next().value!);
  }

  /** The nearest `limit` within `radiusM`. Rejects with RIDE_UNAVAILABLE. */
  return async (center: LatLng, radiusM: number, limit: number): Promise<Near[]> => {
    const place = `${Math.round(center.lat * PLACES_PER_DEGREE)}:${Math.round(center.lng * PLACES_PER_DEGREE)}`;
    const room = roomOf.get(place);
    let reachM = room === undefined ? radiusM : Math.min(radiusM, Math.max(LEAST_M, MARGIN * Math.sqrt(room * limit)));
    const from = ['FROMLONLAT', center.lng, center.lat] as const;
    for (;;) {
      const circle = ['BYRADIUS', reachM, 'm', 'ASC', 'COUNT', limit, 'WITHDIST'] as const;
      const found = (await orAway(redis.call('GEOSEARCH', index, ...from, ...circle))) as Near[];
      if (found.length >= limit || reachM >= radiusM) {
        learn(place, found, reachM, limit);
        return found;
      }
      reachM = Math.min(radiusM, WIDER * reachM);
    }
  };
}
