/**
 * Whom and what the examples of the API speak of, so that they fit together: a rider, her driver, a ride of theirs through New York,
 * a parcel, and a departure to Boston. Examples stand in the API's documents alone; nothing is checked or decided by them.
 */

export const RIDER_ID = 'rider-1';
export const DRIVER_ID = 'driver-1';
export const OPERATOR_ID = 'admin-1';

export const OFFER_ID = 'ofr_nyc_01jd0000000000000000000002';
export const TRIP_ID = 'trip_nyc_01jd0000000000000000000003';
export const DELIVERY_ID = 'trip_nyc_01jd0000000000000000000007';
export const DEPARTURE_ID = 'trip_nyc_01jd0000000000000000000008';
export const BOOKING_ID = 'bkg_nyc_01jd0000000000000000000009';
export const GEOFENCE_ID = 'gfn_nyc_01jd000000000000000000000a';
export const ALERT_ID = 'sos_nyc_01jd000000000000000000000b';

/** The id of the nth event. */
export const eventIdAt = (n: number): string => `evt_nyc_01jd0000000000000000000e${String(n).padStart(2, '0')}`;

/** When the ride was requested, epoch ms. */
export const REQUESTED_AT = 1_421_322_000_000;

/** `seconds` after the request, epoch ms. */
export const after = (seconds: number): number => REQUESTED_AT + 1000 * seconds;

/** When the departure leaves: two days after the request. */
export const DEPARTS_AT = after(172_800);

export const PICKUP = { lat: 40.7484, lng: -73.9857, address: '350 5th Ave' };
export const DROPOFF = { lat: 40.7061, lng: -74.0087, address: '11 Wall St' };

/** Over its road, by the settings as they are when nobody sets them. */
export const ESTIMATE = {
  distance_m: 6868,
  duration_s: 1145,
  fare_minor: 2269,
  currency: 'USD',
  source: 'straight_line',
};

/** The zone of the pick-up, and its outline. */
export const ZONE = '872a100d2ffffff';
export const ZONE_OUTLINE: [number, number][] = [
  [-73.98804, 40.75427],
  [-74.00276, 40.7477],
  [-74.00227, 40.73538],
  [-73.98707, 40.72962],
  [-73.97235, 40.73619],
  [-73.97283, 40.74851],
  [-73.98804, 40.75427],
];
