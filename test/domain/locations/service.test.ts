/** Where an available driver is found after Redis, or this node, had forgotten him. */
import t from 'tap';
import { until } from '../../until.ts';
import { manualClock, near, onDuty, shared, stack } from '../stack.ts';

t.test('a driver who sent nothing for long is put in his place again by his next position', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  const driver = await onDuty(s, 'by-rest');
  const send = () =>
    s.locations.update(driver, { ...near(10), recordedAt: clock.now(), tripId: '' }, 'rest').then((kept) => t.ok(kept));
  const isFound = async () => (await s.redis.zscore('active-drivers', driver.userId)) !== null;
  await until(isFound, 'his first position to make him available');
  await s.redis.del('active-drivers');
  clock.add(3_600_000);
  await send();
  await until(isFound, 'him to be available again');
});

t.end();
