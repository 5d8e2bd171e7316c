/** A delivery end to end: ordered, offered to porters whose vehicle takes it, picked up, proved at the door. */
import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import type { Clients } from '../helper.ts';
import { north, somewhere } from '../scene.ts';

/** The porter may be on another node than the client. `rest` may check answers. */
export async function firstDelivery(t: Test, s: Clients, porters: Clients = s, rest: Clients['rest'] = s.rest) {
  const name = randomUUID();
  const at = somewhere();
  const sender = await s.token('rider', `sender-${name}`);
  const porter = async (vehicleClass: string) => {
    const id = `porter-${vehicleClass}-${name}`;
    const token = await porters.token('driver', id, { vehicle_class: vehicleClass });
    const stream = await porters.ws('/ws/porter', token);
    const updates = [{ ...north(at, 50), recorded_at_ms: Date.now() }];
    await porters.rest('POST', '/api/v1/drivers/me/locations', token, { updates });
    const body = { status: 'looking', vehicle_class: vehicleClass };
    await porters.rest('PUT', '/api/v1/drivers/me/status', token, body);
    return { id, token, stream };
  };
  const bike = await porter('moto');
  const van = await porter('xl');
  const order = {
    pickup: at,
    pickup_contact: { name: 'Ada', phone: '+12125550100' },
    dropoff: { ...north(at, 3000), address: '5 Pine St' },
    dropoff_contact: { name: 'Grace', phone: '+12125550101' },
    parcel: { description: 'a piano stool', weight_g: 70_000, fragile: true },
    accepts: ['code'],
  };
  const key = { 'idempotency-key': name };
  const ordered = await rest('POST', '/api/v1/deliveries', sender, order, key);
  t.equal(ordered.status, 201);
  const { id, code } = ordered.body;
  t.hasStrict(ordered.body, {
    kind: 'delivery',
    vehicle_class: 'xl',
    takes: ['code'],
    codes_left: 5,
    parcel: order.parcel,
  });
  t.match(code, /^[0-9]{6}$/);
  const again = await rest('POST', '/api/v1/deliveries', sender, order, key);
  t.same([again.status, again.body.id, again.body.code], [200, id, code], 'the same order, and its code');

  const { job_offer: offer } = await van.stream.next((m) => m.job_offer?.trip_id === id, 'offer');
  t.hasStrict(offer, { kind: 'delivery', parcel_weight_g: 70_000, vehicle_class: 'xl' });
  const offered = (await rest('GET', `/api/v1/deliveries/${id}`, van.token)).body;
  t.same(
    [offered.parcel, offered.code, offered.dropoff_contact],
    [order.parcel, undefined, undefined],
    'before he takes it',
  );
  const live = await s.ws('/ws/client', sender);
  await live.ask({ subscribe: { topic: `order:${id}`, since_offset: '0' } });
  t.ok((await van.stream.ask({ offer_reply: { offer_id: offer.offer_id, trip_id: id, accept: true } })).ack);
  const assigned = (await rest('GET', `/api/v1/deliveries/${id}`, van.token)).body;
  t.same([assigned.code, assigned.dropoff_contact], [undefined, order.dropoff_contact], 'then he knows whom to meet');

  for (const status of ['STATUS_ARRIVED', 'STATUS_STARTED'])
    t.ok((await van.stream.ask({ ride_status: { status, trip_id: id } })).ack, status);
  const done = { status: 'STATUS_COMPLETED', trip_id: id };
  t.equal((await van.stream.ask({ ride_status: done })).error?.code, 'RIDE_PROOF_REFUSED', 'nothing proves nothing');
  const wrong = String((Number(code) + 1) % 1_000_000).padStart(6, '0');
  const refused = await rest('POST', `/api/v1/deliveries/${id}/complete`, van.token, { code: wrong });
  t.equal(refused.status, 409);
  t.hasStrict(refused.body, { code: 'RIDE_PROOF_REFUSED', field: 'proof', facts: { codes_left: 4, takes: 'code' } });
  await live.next((m) => m.trip_event?.type === 'proof_refused', 'the sender to hear of it');
  t.ok((await van.stream.ask({ ride_status: { ...done, proof_code: code } })).ack, 'the code by the stream');
  await live.next((m) => m.trip_event?.type === 'completed', 'the end');
  const end = await rest('POST', `/api/v1/deliveries/${id}/complete`, van.token, { code });
  t.equal(end.status, 200, 'a repeat');
  t.hasStrict(end.body, { status: 'completed', proof: { kind: 'code' } });
  const types = live.inbox.all.filter((m) => m.trip_event).map((m) => m.trip_event.type);
  t.same(types, ['requested', 'offered', 'assigned', 'driver_arrived', 'started', 'proof_refused', 'completed']);
  t.notOk(JSON.stringify(live.inbox.all).includes(code), 'the code is told on no stream');
  t.notOk(
    bike.stream.inbox.all.some((m) => m.job_offer),
    'whose vehicle does not take it is not asked',
  );
  for (const { token } of [bike, van])
    await porters.rest('PUT', '/api/v1/drivers/me/status', token, { status: 'offline' });
  return { id, sender, porter: van.token };
}
