/** Open offers in Redis: `job:offer:{offerId}` (document E) and one reservation per driver. */
import type { Offers } from '../../ports/offers.ts';
import { orAway } from './connection.ts';
import type { ScriptedRedis } from './scripts.ts';

const offerKey = (offerId: string): string => `job:offer:${offerId}`;
const reservationKey = (driverId: string): string => `driver:offered:${driverId}`;

export function createRedisOffers(redis: ScriptedRedis): Offers {
  return {
    async reserve(driverId, offerId, ttlMs) {
      return (
        (await orAway(redis.set(reservationKey(driverId), offerId, 'PX', Math.max(1, Math.ceil(ttlMs)), 'NX'))) === 'OK'
      );
    },
    async release(driverId, offerId) {
      await orAway(redis.rideReleaseReservation(reservationKey(driverId), offerId));
    },
    async save(tripId, offer, ttlMs) {
      const key = offerKey(offer.id);
      const fields = {
        offerId: offer.id,
        orderId: tripId,
        porterId: offer.driverId,
        expiresAt: offer.expiresAt,
        etaS: offer.etaS,
      };
      await orAway(
        redis
          .multi()
          .hset(key, fields)
          .pexpire(key, Math.max(1, Math.ceil(ttlMs)))
          .exec(),
      );
    },
    async remove(offerId) {
      await orAway(redis.del(offerKey(offerId)));
    },
  };
}
