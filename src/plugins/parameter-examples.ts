/**
 * An example of every parameter of the API, for its document: by the parameter's name, since one name means the same everywhere. Where
 * a schema has a default or a list of values, those serve.
 */
import {
  ALERT_ID,
  after,
  BOOKING_ID,
  DELIVERY_ID,
  DEPARTS_AT,
  DEPARTURE_ID,
  DRIVER_ID,
  DROPOFF,
  GEOFENCE_ID,
  OFFER_ID,
  PICKUP,
  RIDER_ID,
  TRIP_ID,
  ZONE,
} from '../domain/examples.ts';

const EPOCH = '6f9619ff8b86d011b42d00c04fc964ff';

const byName: Readonly<Record<string, unknown>> = {
  'idempotency-key': '8e03978e-40d5-43dd-bc93-6894a57f9324',
  'if-match': '"3"',
  'if-none-match': '"5ba93c9db0cff93f52b521d7420e43f6eda2784f"',
  'last-event-id': `${EPOCH}:4`,
  alert_id: ALERT_ID,
  anomaly_id: `spoofed_gps:${DRIVER_ID}`,
  before: after(3600),
  booking_id: BOOKING_ID,
  city: 'nyc',
  delivery_id: DELIVERY_ID,
  departs_before: DEPARTS_AT + 3_600_000,
  departs_from: DEPARTS_AT - 3_600_000,
  departure_id: DEPARTURE_ID,
  driver_id: DRIVER_ID,
  from: after(-3600),
  geofence_id: GEOFENCE_ID,
  id: TRIP_ID,
  lat: PICKUP.lat,
  lng: PICKUP.lng,
  offer_id: OFFER_ID,
  order: 'asc',
  page_token: 'WzE0MjEzMjIwMDAwMDAsInRyaXBfbnljXzAxamQiXQ',
  passenger_id: RIDER_ID,
  payment_id: TRIP_ID,
  radius_m: 2000,
  rider_id: RIDER_ID,
  seats: 2,
  since: `${EPOCH}:4`,
  subject_id: DRIVER_ID,
  to_city: 'boston',
  to_lat: DROPOFF.lat,
  to_lng: DROPOFF.lng,
  to_radius_m: 2000,
  topic: `trip:${TRIP_ID}`,
  trip_id: TRIP_ID,
  user_id: RIDER_ID,
  zone: ZONE,
};

export interface Parameter {
  name: string;
  schema: { default?: unknown; enum?: unknown[] };
}

/** Undefined when nothing is known of it; a test holds that this never happens. */
export const exampleOf = ({ name, schema }: Parameter): unknown => byName[name] ?? schema.default ?? schema.enum?.[0];
