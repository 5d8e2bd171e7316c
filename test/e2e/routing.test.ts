/** Rides over a real routing engine, which goes away in the middle and comes back: there is always an ETA, and it says whose. */
import t from 'tap';
import { townMap } from '../adapters/routing/engines.ts';
import { readMetrics, sum } from '../clients/metrics.ts';
import { connect } from '../clients/peer.ts';
import { build } from '../helper.ts';
import { lookingDriver, member } from '../scene.ts';
import { corner } from '../servers/grid-town.ts';
import { startOsrm } from '../servers/osrm.ts';
import { until } from '../until.ts';

const osrm = await startOsrm(t, await townMap(t));

t.test('a ride with ETAs by road', { skip: 'skip' in osrm ? osrm.skip : false }, async (t) => {
  if ('skip' in osrm) return;
  const s = await build(t, {
    env: {
      ROUTING_ENGINE: 'osrm',
      ROUTING_URL: osrm.url,
      ROUTING_TIMEOUT: '2s',
      ROUTING_BREAKER_THRESHOLD: '2',
      ROUTING_BREAKER_RESET: '300ms',
      ETA_REFRESH_INTERVAL: '100ms',
      // Who only listens may do so for as long as a slow machine takes.
      HEARTBEAT_TIMEOUT: '2m',
    },
  });
  const [home, work] = [corner(4, 6), corner(10, 6)];
  // Street 4 runs east: from the east of it one goes round the block.
  const driver = await lookingDriver(t, s, corner(4, 9));
  const rider = await member(s, 'rider');
  const nearby = await s.rest('GET', `/api/v1/drivers/nearby?lat=${home.lat}&lng=${home.lng}`, rider.token);
  t.match(nearby.body.items, [{ driver_id: driver.id, eta_s: Number, eta_source: 'osrm' }]);
  t.equal(sum(await readMetrics(s.at.metrics), 'ride_eta_estimates_total', { source: 'osrm' }), 1);

  const asked = await s.rest('POST', '/api/v1/trips', rider.token, { pickup: home, dropoff: work });
  t.equal(asked.status, 201);
  const trip = asked.body;
  t.equal(trip.estimate.source, 'osrm');
  t.ok(
    Math.abs(trip.estimate.distance_m - 1200) < 20,
    `${trip.estimate.distance_m} m along the avenue, no detour factor`,
  );

  const offered = await driver.peer.inbox.find((m) => m.job_offer?.trip_id === trip.id, 'offer');
  const located = nearby.body.items[0].recorded_at_ms;
  const estimated = { position_recorded_at_ms: `${located}` };
  t.hasStrict(offered.job_offer, { ...estimated, pickup_eta_source: 'osrm' });
  t.ok(Math.abs(offered.job_offer.pickup_distance_m - 1000) < 20, 'round the block');
  const path = `/api/v1/trips/${trip.id}`;
  const follower = await connect(t, s.at, 'websocket-json', rider.token);
  await follower.ask({ subscribe: { topic: `trip:${trip.id}` } });
  await s.rest('POST', `${path}/offers/${offered.job_offer.offer_id}/accept`, driver.token);

  const { match } = await follower.inbox.find((m) => m.match?.trip_id === trip.id, 'the match');
  t.hasStrict(match, { ...estimated, eta_source: 'osrm' });

  let step = 0;
  /** Drives until an ETA from `source` is heard; every position is somewhere new. */
  const hears = async (source: string): Promise<void> => {
    const since = follower.inbox.all.length;
    await until(async () => {
      step++;
      const at = { ...corner(4, 9 - (step % 3)), recorded_at_ms: Date.now(), trip_id: trip.id, accuracy_m: 4 };
      await driver.peer.ask({ location_update: at });
      return follower.inbox.all.slice(since).some((m) => m.eta_refresh?.source === source);
    }, `an ETA by ${source}`);
  };
  await hears('osrm');
  const { eta_refresh: eta } = follower.inbox.all.find((m) => m.eta_refresh)!;
  t.hasStrict(eta, { position_source: 'stream', accuracy_m: 4 }, 'of which position it is');
  t.ok(Number(eta.age_ms) < 60_000 && !eta.stale);
  await osrm.kill();
  await hears('straight_line');
  await hears('straight_line');
  const breaker = async () => sum(await readMetrics(s.at.metrics), 'ride_routing_breaker_state', { engine: 'osrm' });
  await until(async () => (await breaker()) > 0, 'the breaker to open');
  await osrm.restart();
  await hears('osrm');
  t.equal(await breaker(), 0);

  await driver.peer.ask({ location_update: { ...home, recorded_at_ms: Date.now(), trip_id: trip.id } });
  for (const name of ['arrive', 'start']) t.equal((await s.rest('POST', `${path}/${name}`, driver.token)).status, 200);
  await until(async () => {
    await hears('osrm');
    return follower.inbox.all.some((m) => m.eta_refresh?.leg === 'dropoff');
  }, 'an ETA at the drop-off');
  await s.rest('POST', `${path}/complete`, driver.token);
  await until(
    async () =>
      sum(await readMetrics(s.at.metrics), 'ride_eta_error_seconds_count', { leg: 'dropoff', source: 'osrm' }) === 1,
    'the arrival to be counted',
  );
  const metrics = await readMetrics(s.at.metrics);
  t.equal(sum(metrics, 'ride_eta_error_ratio_count', { leg: 'pickup', source: 'osrm' }), 1);
  t.ok(sum(metrics, 'ride_eta_estimates_total', { source: 'osrm' }) > 0);
  t.ok(sum(metrics, 'ride_eta_estimates_total', { source: 'straight_line' }) > 0);
  t.ok(sum(metrics, 'ride_routing_request_seconds_count', { engine: 'osrm', outcome: 'ok' }) > 0);
  t.ok(sum(metrics, 'ride_routing_request_seconds_count', { engine: 'osrm', outcome: 'failed' }) > 0);
});
