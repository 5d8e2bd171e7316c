/** docs/trip-states.md is what the rules say today. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { exploreDepartures } from '../../script/trip-diagram/departures.ts';
import { explore, tripStatesPage } from '../../script/trip-diagram.ts';
import { bookingStatuses } from '../../src/domain/bookings/rules.ts';
import { departureEventTypes } from '../../src/domain/departures/rules.ts';
import { departureStatuses, tripStatuses } from '../../src/domain/statuses.ts';
import { statusAfter } from '../../src/domain/trips/evolve.ts';
import { tripEventTypes } from '../../src/domain/trips/rules.ts';

t.test('the page is up to date', async (t) => {
  const page = readFileSync(new URL('../../docs/trip-states.md', import.meta.url), 'utf8');
  t.equal(page, tripStatesPage(), 'run node script/trip-diagram.ts');
});

t.test('every status and event is in the diagram, each event leading where the rules say', async (t) => {
  const edges = explore();
  t.same(new Set(['requested', ...edges.map(({ to }) => to)]), new Set(tripStatuses));
  t.same(new Set(['requested', ...edges.map(({ event }) => event)]), new Set(tripEventTypes));
  for (const { event, to } of edges) t.equal(to, statusAfter[event as keyof typeof statusAfter], `${event} → ${to}`);
});

t.test('so is every status and event of a departure and of a booking', async (t) => {
  const departures = exploreDepartures('departure');
  const bookings = exploreDepartures('booking');
  t.same(new Set(['scheduled', ...departures.map(({ to }) => to)]), new Set(departureStatuses));
  t.same(new Set(bookings.map(({ to }) => to)), new Set(bookingStatuses));
  const events = new Set(['published', ...departures.map(({ event }) => event), ...bookings.map(({ event }) => event)]);
  t.same(events, new Set(departureEventTypes));
});
