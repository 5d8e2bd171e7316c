/** Where an available driver is found after Redis, or this node, had forgotten him. */
import t from 'tap';
import { until } from '../../until.ts';
import { CENTER, manualClock, near, onDuty, shared, stack } from '../stack.ts';

t.test('a driver who sent nothing for long is put in his place again by his next position', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  const driver = await onDuty(s, 'by-rest');
  const send = () =>
    s.locations
      .update(driver, { ...near(10), recordedAt: clock.now(), tripId: '' }, 'rest')
      .then(({ accepted }) => t.equal(accepted, 1));
  const isFound = async () => (await s.redis.zscore('active-drivers', driver.userId)) !== null;
  await until(isFound, 'his first position to make him available');
  await s.redis.del('active-drivers');
  clock.add(3_600_000);
  await send();
  await until(isFound, 'him to be available again');
});

t.test('who sends a position while another node takes him for gone stays available', async (t) => {
  const place = await shared(t);
  const [a, b] = [await stack(t, place), await stack(t, place)];
  const driver = await onDuty(b, 'back-again');
  const isFound = async () => (await b.redis.zscore('active-drivers', driver.userId)) !== null;
  await until(isFound, 'him to be available');
  await b.redis.del(`porter:location:${driver.userId}`);
  // Between the look at his position and his removal he sends one, and has his place again.
  const pipeline = a.redis.pipeline.bind(a.redis);
  let isBack = false;
  a.redis.pipeline = (commands) => {
    const made = pipeline(commands);
    const exec = made.exec.bind(made);
    made.exec = (async () => {
      if (!isBack) {
        isBack = true;
        await b.redis.del('active-drivers');
        await b.locations.update(driver, { ...near(20), recordedAt: b.clock.now(), tripId: '' }, 'stream');
        await until(isFound, 'him to be available once more');
      }
      return exec();
    }) as typeof made.exec;
    return made;
  };
  await a.locations.nearby(CENTER, 1000, 10);
  t.ok(isBack, 'he was taken for gone');
  const found = async () => (await b.locations.nearby(CENTER, 1000, 10)).map(({ driverId }) => driverId);
  await until(async () => (await found()).includes(driver.userId), 'him to be found');
});
t.end();
