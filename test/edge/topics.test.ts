/** Who may follow what: every kind of topic, every role, every transport. */
import t from 'tap';
import { connect, transports } from '../clients/peer.ts';
import { build } from '../helper.ts';
import { bookedDeparture, member, requestedTrip, somewhere } from '../scene.ts';
import { isRefused } from './streams.ts';

const s = await build(t);
const { id: tripId } = await requestedTrip(s, await member(s, 'rider'), somewhere());
const { id: bookingId } = await bookedDeparture(s);

/** Besides one's own: someone else's trip, booking, user and presence, and what concerns no one alone. */
const mayFollow: Record<string, readonly string[]> = {
  [`trip:${tripId}`]: ['admin', 'dispatcher', 'service'],
  [`booking:${bookingId}`]: ['admin', 'dispatcher', 'service'],
  'user:someone-else': ['admin', 'dispatcher', 'service'],
  'presence:someone-else': ['admin', 'dispatcher', 'service'],
  'zone:872a1072cffffff': ['driver', 'admin', 'dispatcher', 'service'],
  'city:testville': ['admin', 'dispatcher'],
  'sos:alerts': ['admin', 'dispatcher'],
};

for (const transport of transports) {
  t.test(transport, async (t) => {
    for (const role of ['rider', 'driver', 'admin', 'dispatcher', 'service']) {
      const peer = await connect(t, s.at, transport, (await member(s, role)).token);
      for (const [topic, roles] of Object.entries(mayFollow)) {
        const answer = await peer.ask({ subscribe: { topic } });
        if (roles.includes(role)) t.equal(answer.subscribed?.topic, topic, `${role} follows ${topic}`);
        else {
          const refusal = { code: 'RIDE_FORBIDDEN', field: 'topic', rule: 'a topic that the caller may follow' };
          isRefused(t, answer, refusal, `${role}, ${topic}`);
        }
      }
    }
  });
}
t.end();
