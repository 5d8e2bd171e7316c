/**
 * Writes docs/trip-states.md from the rules themselves: `node script/trip-diagram.ts`. Every command is tried in every state
 * that can be reached, so a transition that the rules allow cannot be missing, and one that they refuse cannot be there.
 */
import { writeFileSync } from 'node:fs';
import { isTerminal, tripStatuses } from '../src/domain/statuses.ts';
import { evolve } from '../src/domain/trips/evolve.ts';
import { decide, type TripCommand, type TripState } from '../src/domain/trips/rules.ts';
import { proofs } from './trip-diagram/deliveries.ts';
import { departuresPart } from './trip-diagram/departures.ts';

const TARGET = new URL('../docs/trip-states.md', import.meta.url);
const RIDER = 'rider';
const DRIVER = 'driver';

/** Every kind of command by whoever may send it; the label says who and what. */
const attempts: readonly { label: string; now: number; command: TripCommand }[] = [
  { label: 'dispatch offers it', now: 0, command: { type: 'offer', offer: offer() } },
  { label: 'dispatch offers it to several', now: 0, command: { type: 'offer', offer: broadcast() } },
  { label: 'the driver accepts', now: 0, command: { type: 'accept', offerId: 'offer', driverId: DRIVER } },
  { label: 'the driver declines', now: 0, command: { type: 'decline', offerId: 'offer', driverId: DRIVER } },
  { label: 'the offer’s time is up', now: 1, command: { type: 'expire_offer', offerId: 'offer' } },
  { label: 'the driver arrives', now: 0, command: { type: 'arrive', driverId: DRIVER } },
  { label: 'the driver starts', now: 0, command: { type: 'start', driverId: DRIVER } },
  { label: 'the driver completes', now: 0, command: { type: 'complete', driverId: DRIVER } },
  { label: 'the rider cancels', now: 0, command: { type: 'cancel', actorId: RIDER, role: 'rider' } },
  { label: 'the driver cancels', now: 0, command: { type: 'cancel', actorId: DRIVER, role: 'driver' } },
  { label: 'an operator cancels', now: 0, command: { type: 'cancel', actorId: 'desk', role: 'dispatcher' } },
  { label: 'no driver in time', now: 0, command: { type: 'expire', reason: 'no_driver_in_time' } },
];

interface Edge {
  from: string;
  to: string;
  event: string;
  causes: string[];
}

function offer() {
  return { id: 'offer', driverId: DRIVER, etaS: 0, distanceM: 0, lat: 0, lng: 0, expiresAt: 1 };
}

function broadcast() {
  return { ...offer(), others: [{ driverId: 'another', etaS: 0, distanceM: 0, lat: 0, lng: 0 }] };
}

/** The states and transitions that the rules allow, in the order of a ride. */
export function explore(): Edge[] {
  const start: TripState = {
    status: 'requested',
    riderId: RIDER,
    driverId: null,
    offer: null,
    excludedDriverIds: [],
    offersMade: 0,
    updatedAt: 0,
    matchDeadline: 0,
  };
  const seen = new Set<string>([`${start.status} `]);
  const edges = new Map<string, Edge>();
  const open = [start];
  for (const state of open) {
    for (const { label, now, command } of attempts) {
      const decision = decide(state, command, now);
      if ('refusal' in decision) continue;
      let before = state;
      for (const event of decision.events) {
        const next = evolve(before, event);
        const key = `${before.status} ${event.type} ${next.status}`;
        const edge = edges.get(key) ?? { from: before.status, to: next.status, event: event.type, causes: [] };
        if (!edge.causes.includes(label)) edge.causes.push(label);
        edges.set(key, edge);
        before = next;
        // An offer to several has other ways out than one to a single driver.
        const place = `${next.status} ${next.offer?.others ? 'several' : ''}`;
        if (seen.has(place)) continue;
        seen.add(place);
        open.push(next);
      }
    }
  }
  for (const { from, to, event, cause } of proofs()) {
    const key = `${from} ${event} ${to}`;
    const edge = edges.get(key) ?? { from, to, event, causes: [] };
    edge.causes.push(cause);
    edges.set(key, edge);
  }
  const rank = (status: string): number => tripStatuses.indexOf(status as never);
  return [...edges.values()].sort((a, b) => rank(a.from) - rank(b.from) || rank(a.to) - rank(b.to));
}

/** The page as Markdown. */
export function tripStatesPage(): string {
  const edges = explore();
  const ends = tripStatuses.filter(isTerminal);
  const arrows = edges.map(({ from, to, event }) => `  ${from} --> ${to}: ${event}`);
  const rows = edges.map(({ from, to, event, causes }) => `| ${from} | ${event} | ${to} | ${causes.join('; ')} |`);
  return [
    '# The states of a trip',
    '',
    'Made from `src/domain/trips/rules.ts` by `node script/trip-diagram.ts`; a test holds the two together.',
    '',
    '```mermaid',
    'stateDiagram-v2',
    '  [*] --> requested: requested',
    ...arrows,
    ...ends.map((status) => `  ${status} --> [*]`),
    '```',
    '',
    '| from | event | to | when |',
    '|---|---|---|---|',
    '| | requested | requested | the rider asks |',
    ...rows,
    '',
    'A step that was taken already is answered with the present state and causes no event. Whoever declined, let an offer pass or',
    'gave the trip up is not offered it again.',
    '',
    ...departuresPart(),
  ].join('\n');
}

if (import.meta.main) writeFileSync(TARGET, tripStatesPage());
