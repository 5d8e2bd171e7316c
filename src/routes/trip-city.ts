/** In which city a trip is requested: where it begins, as the cities are drawn now; with a quote, where the quote says, for that is what was promised. */
import type { LatLng } from '../domain/geo.ts';
import type { Geofences } from '../domain/geofences/service.ts';
import type { Principal } from '../domain/roles.ts';

/** @returns the parts of a request that say so @throws RideError RIDE_INVALID_INPUT when the pick-up lies in another city than is stated */
export function cityAndQuote(
  geofences: Pick<Geofences, 'cityOf'>,
  principal: Principal,
  { pickup, city, quote_id: quoteId }: { pickup: LatLng; city?: string; quote_id?: string },
): { city?: string; quoteId?: string } {
  if (!quoteId) return { city: geofences.cityOf(pickup, city, principal.city) };
  return city === undefined ? { quoteId } : { quoteId, city };
}
