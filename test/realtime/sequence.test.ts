/** What a node writes has one count, whatever it is and whoever it is for: with the Lamport clock it orders merged streams. */
import t from 'tap';
import { connect } from '../clients/peer.ts';
import { build } from '../helper.ts';
import { assignedRide } from '../scene.ts';

t.test('no number is given twice', async (t) => {
  const s = await build(t);
  const ride = await assignedRide(t, s);
  const topics = [`trip:${ride.id}`, `presence:${ride.driver.id}`];
  const peer = await connect(t, s.at, 'grpc', ride.rider.token);
  for (let i = 0; i < 10; i++) {
    // Answers, what is remembered, snapshots, what is new.
    for (const topic of topics) await peer.ask({ subscribe: { topic, since_offset: 0, epoch: '' } });
    await ride.driver.peer.ask({ location_update: { ...ride.at, recorded_at_ms: Date.now(), trip_id: ride.id } });
  }
  await peer.inbox.find((m) => m.location, 'a position');
  const written = new Map<number, Set<string>>();
  for (const m of peer.inbox.all) {
    // What is remembered comes again under the same event_id.
    const { sequence, event_id, lamport, topic } = m;
    const messages = written.get(sequence) ?? new Set();
    written.set(sequence, messages.add(event_id || `${topic} ${lamport}`));
  }
  t.ok(written.size > 20, `${written.size} messages`);
  t.same(
    [...written].filter(([, messages]) => messages.size > 1).map(([sequence]) => sequence),
    [],
  );
});
