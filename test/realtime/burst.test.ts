/** A client that sends a lot at once and reads everything is no slow reader: each message is answered, in order. */
import t from 'tap';
import { build } from '../helper.ts';

t.test('thousands of messages in one write are all answered', async (t) => {
  const s = await build(t);
  const driver = await s.ws('/ws/driver', await s.token('driver', 'driver-1'));
  const count = 4000;
  const at = Date.now();
  for (let i = 0; i < count; i++) {
    driver.raw(
      JSON.stringify({ corr_id: `b${i}`, location_update: { lat: 40, lng: -73, recorded_at_ms: at - count + i } }),
    );
  }
  await driver.next((m) => m.corr_id === `b${count - 1}`, 'last answer');
  const answered = driver.inbox.all.filter((m) => m.ack && String(m.corr_id).startsWith('b')).map((m) => m.corr_id);
  t.equal(new Set(answered).size, count);
});
