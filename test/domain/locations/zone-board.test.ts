/** Broadcasts of zones and cities: everyone who moved once, in messages of a bounded size. */
import t from 'tap';
import { createZoneBoard } from '../../../src/domain/locations/zone-board.ts';
import type { OutboundMessages, Publisher } from '../../../src/ports/publisher.ts';
import { manualClock } from '../stack.ts';

t.test('many drivers are several messages, each with as many as it may hold', async (t) => {
  const sent: { topic: string; drivers: string[] }[] = [];
  const publisher = {
    publishLatest(topic: string, kind: string, message: unknown) {
      t.equal(kind, 'zone_broadcast');
      const { positions, city, zone } = message as OutboundMessages['zone_broadcast'];
      t.equal(city, 'testville');
      t.equal(zone, topic.startsWith('zone:') ? topic.slice(5) : '');
      sent.push({ topic, drivers: positions.map(({ position }) => position.driverId) });
    },
  } as unknown as Publisher;
  const clock = manualClock();
  const board = createZoneBoard(publisher, clock, 60_000, (lat) => (lat < 40 ? 'south' : 'north'), 3);
  const drivers = Array.from({ length: 7 }, (_, i) => `d${i}`);
  for (const [i, driverId] of drivers.entries()) {
    const position = { driverId, tripId: '', lat: i < 3 ? 39 : 41, lng: 0, recordedAt: clock.now() };
    const rest = { vehicleClass: 'standard', city: 'testville', source: 'stream' } as const;
    for (let again = 0; again < 2; again++) board.moved({ ...position, ...rest }, 'available');
  }
  board.flush();
  const of = (topic: string) => sent.filter((one) => one.topic === topic).map((one) => one.drivers);
  t.same(of('zone:south'), [drivers.slice(0, 3)], 'what fits is one message');
  t.same(of('zone:north'), [drivers.slice(3, 6), drivers.slice(6)]);
  t.same(of('city:testville'), [drivers.slice(0, 3), drivers.slice(3, 6), drivers.slice(6)]);
  board.flush();
  t.equal(sent.length, 6, 'who has not moved since is not told of again');
});
t.end();
