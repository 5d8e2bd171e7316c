/** docs/trip-states.md is what the rules say today. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { explore, tripStatesPage } from '../../script/trip-diagram.ts';
import { statusAfter, tripEventTypes, tripStatuses } from '../../src/domain/trips/rules.ts';

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
