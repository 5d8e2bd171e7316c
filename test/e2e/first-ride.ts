/** The first ride, end to end: a driver by gRPC, a rider by WebSocket, the trip by REST. */
import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import type { Clients } from '../helper.ts';

const pickup = { lat: 40.7484, lng: -73.9857 };
const dropoff = { lat: 40.7061, lng: -74.0087 };

/** A trip is requested, offered, accepted, driven and completed; the driver may be on another node than the rider. */
export async function firstRide(t: Test, s: Clients, drivers: Clients = s): Promise<void> {
  // Names of their own: a test may ride twice on one store.
  const riderId = `rider-${randomUUID()}`;
  const driverId = `driver-${randomUUID()}`;
  const rider = await s.token('rider', riderId);
  const driver = await drivers.grpc(await s.token('driver', driverId));
  t.hasStrict(await driver.ask({ location_update: { lat: 40.75, lng: -73.98, recorded_at_ms: Date.now() } }), {
    ack: { accepted: 1 },
  });
  await driver.ask({ ride_status: { status: 'STATUS_LOOKING' } });
  const app = await s.ws('/ws/client', rider);

  const requested = await s.rest('POST', '/api/v1/trips', rider, { pickup, dropoff });
  t.equal(requested.status, 201);
  const { id } = requested.body;
  const subscribed = await app.ask({ subscribe: { topic: `trip:${id}`, since_offset: '0' } });
  t.equal(subscribed.subscribed.recovered, true);

  const { job_offer: offer } = await driver.next((m) => m.job_offer !== undefined, 'offer');
  t.equal(offer.trip_id, id);
  t.ok((await driver.ask({ offer_reply: { offer_id: offer.offer_id, trip_id: id, accept: true } })).ack);
  await driver.ask({ location_update: { lat: 40.749, lng: -73.985, recorded_at_ms: Date.now(), trip_id: id } });
  const position = await s.rest('GET', `/api/v1/trips/${id}/location`, rider);
  t.hasStrict(position.body, { lat: 40.749, lng: -73.985, driver_id: driverId, stale: false });
  const live = await app.next((m) => m.location !== undefined, 'location');
  t.equal(live.location.lat, 40.749);

  for (const status of ['STATUS_ARRIVED', 'STATUS_STARTED', 'STATUS_COMPLETED']) {
    t.ok((await driver.ask({ ride_status: { status, trip_id: id } })).ack, status);
  }
  await app.next((m) => m.trip_event?.type === 'completed', 'completed');
  const seen = app.inbox.all.filter((m) => m.trip_event).map((m) => m.trip_event.type);
  t.same(seen, ['requested', 'offered', 'assigned', 'driver_arrived', 'started', 'completed']);
  const history = await s.rest('GET', `/api/v1/trips/${id}/events`, rider);
  t.same(
    history.body.items.map((e: { type: string }) => e.type),
    seen,
    'the store tells the same story',
  );
  // Nobody after this one is to meet this driver.
  await driver.ask({ ride_status: { status: 'STATUS_OFFLINE' } });
}
