/** What several messages have in their examples: one driver, one trip, one offer of it. */
import { DRIVER_ID, TRIP_ID } from '../../domain/examples.ts';
import type { Shown } from '../../domain/locations/rules.ts';
import type { Offer } from '../../domain/offers/rules.ts';
import type { Position } from '../../ports/positions.ts';

export { TRIP_ID };

export const position: Position = {
  driverId: DRIVER_ID,
  tripId: TRIP_ID,
  lat: 40.7501,
  lng: -73.981,
  speedMps: 7.5,
  headingDeg: 120,
  accuracyM: 5,
  recordedAt: 1421322009000,
  vehicleClass: 'standard',
  city: 'nyc',
  source: 'stream',
};

export const offer: Offer = {
  id: 'ofr_nyc_01jd0000000000000000000002',
  driverId: DRIVER_ID,
  etaS: 190.4,
  source: 'straight_line',
  recordedAt: 1421322002000,
  accuracyM: 5,
  positionSource: 'stream',
  distanceM: 1142.3,
  lat: 40.7484,
  lng: -73.9857,
  expiresAt: 1421322018000,
};

/** Where the driver of the offer was, as it is shown a second later. */
export const from: Shown = {
  lat: offer.lat,
  lng: offer.lng,
  recordedAt: 1421322002000,
  accuracyM: 5,
  source: 'stream',
  ageMs: 1000,
  stale: false,
};
