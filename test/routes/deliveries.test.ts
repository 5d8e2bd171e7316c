/** The routes of deliveries on two nodes, every answer held against the API's document. */
import t from 'tap';
import { checkedRest } from '../contracts/answers.ts';
import { firstDelivery } from '../e2e/first-delivery.ts';
import type { Rest } from '../helper.ts';
import { twoNodes } from '../properties/two-nodes.ts';
import { lookingDriver, type Member, member, north, requestedTrip, somewhere } from '../scene.ts';

const [s, other] = await twoNodes(t);
const { rest } = checkedRest(s);
const deliveries = '/api/v1/deliveries';

const post = (path: string, who: Member, body?: unknown, headers = {}): Promise<Rest> =>
  rest('POST', path, who.token, body, headers);
const get = (path: string, who: Member): Promise<Rest> => rest('GET', path, who.token);

const order = (at = somewhere(), more: object = {}) => ({
  pickup: at,
  pickup_contact: { name: 'Ada', phone: '+12125550100' },
  dropoff: north(at, 2000),
  dropoff_contact: { name: 'Grace', phone: '+12125550101' },
  parcel: { description: 'books', weight_g: 20_000 },
  ...more,
});

t.test('a delivery from end to end, client and porter on two nodes', async (t) => {
  await firstDelivery(t, s, other, rest);
});

t.test('searches by status, city, parties, time and place, rides left out', async (t) => {
  const city = `parcelville-${somewhere().lat}`.slice(0, 30).replace('.', '-');
  const rider = await member(s, 'rider');
  const desk = await member(s, 'dispatcher');
  const at = somewhere();
  const ride = await requestedTrip(s, rider, at);
  const near = (await post(deliveries, rider, order(at, { city }))).body;
  const far = (await post(deliveries, rider, order(north(at, 5000), { city }))).body;
  await post(`/api/v1/trips/${far.id}/cancel`, rider);
  const find = async (query: string): Promise<string[]> => {
    const { status, body } = await get(`${deliveries}?order=asc&${query}`, desk);
    if (status !== 200) throw new Error(JSON.stringify(body));
    return body.items.map(({ id }: { id: string }) => id);
  };
  t.same(await find(`city=${city}`), [near.id, far.id]);
  t.same(await find(`rider_id=${rider.id}`), [near.id, far.id]);
  t.same(await find(`city=${city}&status=cancelled`), [far.id]);
  t.same(await find(`driver_id=nobody&city=${city}`), []);
  t.same(await find(`lat=${at.lat}&lng=${at.lng}&radius_m=1000&rider_id=${rider.id}`), [near.id]);
  t.same(await find(`lat=${at.lat}&lng=${at.lng}&radius_m=6000&rider_id=${rider.id}`), [near.id, far.id]);
  t.same(await find(`rider_id=${rider.id}&from=${far.created_at + 1}`), []);
  t.same(await find(`rider_id=${rider.id}&from=${ride.created_at}&before=${far.created_at + 1}`), [near.id, far.id]);
});

t.test('who may order, for whom, and what is refused by field and rule', async (t) => {
  const rider = await member(s, 'rider');
  const cases: [object, string][] = [
    [{ parcel: { description: 'a house', weight_g: 400_001 } }, 'parcel.weight_g'],
    [{ parcel: { description: 'a stove', weight_g: 60_001 }, vehicle_class: 'standard' }, 'vehicle_class'],
    [{ pickup_contact: { name: 'Ada', phone: '0800' } }, 'pickup_contact.phone'],
    [{ dropoff_contact: undefined }, 'dropoff_contact'],
    [{ accepts: [] }, 'accepts'],
    [{ accepts: ['word of honour'] }, 'accepts[0]'],
    [{ dropoff: undefined }, 'dropoff'],
  ];
  for (const [more, field] of cases)
    t.hasStrict(await post(deliveries, rider, order(undefined, more)), { status: 400, body: { field } }, field);
  const at = somewhere();
  t.hasStrict(await post(deliveries, rider, { ...order(at), dropoff: at }), {
    status: 400,
    body: { field: 'dropoff' },
  });
  t.equal((await post(deliveries, await member(s, 'driver'), order())).status, 403);
  t.equal((await post(deliveries, rider, order(undefined, { rider_id: 'another' }))).body.field, 'rider_id');
  const desk = await member(s, 'service');
  const made = await post(deliveries, desk, order(undefined, { rider_id: rider.id, vehicle_class: 'premium' }));
  t.hasStrict(made.body, { rider_id: rider.id, vehicle_class: 'premium', accepts: ['code'], codes_left: 5 });
  const key = { 'idempotency-key': 'once' };
  const body = order();
  const { id } = (await post(deliveries, rider, body, key)).body;
  t.equal((await post(deliveries, rider, { ...body, note: 'ring twice' }, key)).status, 422);
  const ride = await requestedTrip(s, rider, somewhere());
  t.equal((await get(`${deliveries}/${ride.id}`, rider)).status, 404, 'a ride is no delivery');
  t.equal((await get(`${deliveries}/${id}`, await member(s, 'rider'))).status, 403);
  t.same(
    (await get(deliveries, rider)).body.items.map((item: { id: string }) => item.id),
    [id, made.body.id],
  );
  t.equal((await get(`${deliveries}?status=completed`, rider)).body.items.length, 0);
  t.equal((await get('/api/v1/trips', rider)).body.items.length, 3, 'all of them are trips');
  t.same(
    (await get('/api/v1/trips?kind=ride', rider)).body.items.map((item: { id: string }) => item.id),
    [ride.id],
  );
  t.equal((await get(`/api/v1/trips/${id}`, rider)).body.kind, 'delivery');
  t.equal((await post(`/api/v1/trips/${id}/cancel`, rider)).body.status, 'cancelled');
});

t.test('the code is not to be guessed: then a photo is taken, and everybody can read how it went', async (t) => {
  const at = somewhere();
  const driver = await lookingDriver(t, s, at);
  const rider = await member(s, 'rider');
  const { id, code } = (await post(deliveries, rider, order(at))).body;
  const { job_offer: offer } = await driver.peer.inbox.find((m) => m.job_offer?.trip_id === id, 'offer');
  await post(`/api/v1/trips/${id}/offers/${offer.offer_id}/accept`, driver);
  const prove = (body: object, who: Member = driver, headers = {}) =>
    post(`${deliveries}/${id}/complete`, who, body, headers);
  t.equal((await prove({ code })).status, 409, 'not before it was picked up');
  for (const step of ['arrive', 'start']) t.equal((await post(`/api/v1/trips/${id}/${step}`, driver)).status, 200);
  t.equal((await prove({ photo_ref: 'photos/1.jpg' })).body.code, 'RIDE_PROOF_REFUSED', 'its sender wants a code');
  t.equal((await prove({ code }, await member(s, 'driver'))).status, 403);
  t.equal((await prove({ code }, rider)).status, 403);
  t.equal((await prove({})).status, 400);
  t.equal((await prove({ code, photo_ref: 'x' })).status, 400);
  t.equal((await prove({ code }, driver, { 'if-match': '"1"' })).status, 412);
  const wrong = String((Number(code) + 7) % 1_000_000).padStart(6, '0');
  // At once and from both nodes: each counts.
  const guesses = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      (i % 2 ? other.rest : s.rest)('POST', `${deliveries}/${id}/complete`, driver.token, { code: wrong }),
    ),
  );
  t.ok(guesses.every(({ status, body }) => status === 409 && body.code === 'RIDE_PROOF_REFUSED'));
  const now = (await get(`${deliveries}/${id}`, rider)).body;
  t.hasStrict(now, { status: 'in_progress', codes_left: 0, takes: ['photo'], code });
  t.equal((await prove({ code })).status, 409, 'the right one comes too late');
  const end = await prove({ photo_ref: 'photos/1.jpg' });
  t.hasStrict(end.body, { status: 'completed', proof: { kind: 'photo', photo_ref: 'photos/1.jpg' } });
  const events = (await get(`/api/v1/trips/${id}/events`, rider)).body.items.map(
    (event: { type: string }) => event.type,
  );
  t.equal(
    events.filter((type: string) => type === 'proof_refused').length,
    5,
    'five were counted, the others were not looked at',
  );
});
t.end();
