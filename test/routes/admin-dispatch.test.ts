/** Why a trip was offered to whom: read by operators only, with candidates, terms and reasons, page by page. */
import t from 'tap';
import { connect } from '../clients/peer.ts';
import { checkedRest } from '../contracts/answers.ts';
import { build } from '../helper.ts';
import { locate, lookingDriver, member, north, requestedTrip, somewhere } from '../scene.ts';
import { until } from '../until.ts';

const s = await build(t);
const { rest } = checkedRest(s);
const operator = await member(s, 'admin');

t.test('a declined offer and the next one, explained', async (t) => {
  const at = somewhere();
  const near = await lookingDriver(t, s, north(at, 100));
  const far = await lookingDriver(t, s, north(at, 1500));
  const rider = await member(s, 'rider');
  const { id } = await requestedTrip(s, rider, at);
  const { job_offer } = await near.peer.inbox.find((m) => m.job_offer?.trip_id === id, 'the first offer');
  await rest('POST', `/api/v1/trips/${id}/offers/${job_offer.offer_id}/reject`, near.token);
  await far.peer.inbox.find((m) => m.job_offer?.trip_id === id, 'the second offer');
  const { status, body } = await rest('GET', `/admin/trips/${id}/dispatch`, operator.token);
  t.equal(status, 200);
  const items = body.items as Record<string, unknown>[];
  t.same(
    items.map((item) => item.driver_ids),
    [[far.id], [near.id]],
    'the latest first',
  );
  t.match(items[1], { reason: 'cheapest', replay: 'same', trips: 1, greedy_trips: 0, candidate_count: 2 });
  t.match(items[1], { candidates: [{ eta_source: 'straight_line' }, { eta_source: 'straight_line' }] });
  t.match(items[0], { rejected: [{ driver_id: near.id, reason: 'excluded' }], rejected_counts: { excluded: 1 } });
  const known = { recorded_at_ms: Number, age_ms: Number, position_source: 'rest' };
  t.match(items[0], { candidates: [known], rejected: [known] });
  for (const { age_ms, recorded_at_ms } of items.flatMap((item) => item.candidates as Record<string, number>[]))
    t.ok(
      items.some((item) => (item.at as number) - recorded_at_ms! === age_ms),
      'the age when it was decided',
    );
  const [best] = items[1]!.candidates as {
    driver_id: string;
    cost_ms: number;
    terms: { name: string; cost_ms: number }[];
  }[];
  t.same(
    best!.terms.map(({ name }) => name),
    ['eta', 'idle', 'acceptance', 'rating', 'heading'],
  );
  t.equal(
    best!.terms.reduce((sum, { cost_ms }) => sum + cost_ms, 0),
    best!.cost_ms,
  );
  const page = (await rest('GET', `/admin/trips/${id}/dispatch?page_size=1`, operator.token)).body;
  t.equal(page.items.length, 1);
  const path = `/admin/trips/${id}/dispatch?page_size=1&page_token=${encodeURIComponent(page.next_page_token)}`;
  const next = (await rest('GET', path, operator.token)).body;
  t.same([...page.items, ...next.items], items);
});

t.test('who is turned away for a stale position is shown with its age and with what his device said', async (t) => {
  const at = somewhere();
  const driver = await member(s, 'driver');
  const { ask } = await connect(t, s.at, 'websocket-json', driver.token);
  const recordedAt = Date.now() - 61_000;
  await locate(s, driver, at, recordedAt);
  t.equal((await rest('PUT', '/api/v1/drivers/me/status', driver.token, { status: 'looking' })).status, 200);
  await ask({ heartbeat: { battery_ratio: 0.04 } });
  const seen = () => rest('GET', `/admin/drivers/${driver.id}`, operator.token);
  await until(async () => (await seen()).body.telematics !== null, 'what his device said');
  const { id } = await requestedTrip(s, await member(s, 'rider'), at);
  const decisions = async () => (await rest('GET', `/admin/trips/${id}/dispatch`, operator.token)).body.items;
  await until(async () => (await decisions())[0]?.rejected.length === 1, 'a decision with him');
  const [{ at: decidedAt, rejected, rejected_counts }] = await decisions();
  t.same(rejected_counts, { stale_position: 1 });
  const stale = { reason: 'stale_position', stale_reason: 'battery_low', position_source: 'rest' };
  t.hasStrict(rejected[0], {
    driver_id: driver.id,
    ...stale,
    recorded_at_ms: recordedAt,
    age_ms: decidedAt - recordedAt,
  });
});

t.test('operators only; a trip that is there', async (t) => {
  const rider = await member(s, 'rider');
  const { id } = await requestedTrip(s, rider, somewhere());
  for (const [role, status] of [
    ['dispatcher', 200],
    ['service', 403],
    ['rider', 403],
    ['driver', 403],
  ] as const)
    t.equal((await rest('GET', `/admin/trips/${id}/dispatch`, (await member(s, role)).token)).status, status, role);
  t.equal((await rest('GET', `/admin/trips/${id}/dispatch`, rider.token)).status, 403, 'not even his own');
  t.equal((await rest('GET', '/admin/trips/trip_none/dispatch', operator.token)).status, 404);
});
t.end();
