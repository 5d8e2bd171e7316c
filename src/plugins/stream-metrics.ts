/** What happens to sessions and topics now and then, under one label each: recoveries, refusals, ends, what a slow reader holds up. */
import type { Registry } from 'prom-client';
import type { StreamFact } from '../ports/meter.ts';
import { type Count, PlainCounter } from './plain-counter.ts';

/** Name, help and label of what is counted of each. */
const FACTS: Record<StreamFact, readonly [name: string, help: string, label: string]> = {
  recovery: ['ride_stream_recoveries_total', 'Readers who said where they were in a topic', 'outcome'],
  replayed: ['ride_stream_replayed_total', 'Messages out of the history for readers who missed them', 'source'],
  repair: [
    'ride_stream_repairs_total',
    'Doubts whether a topic lost something between Redis and this process',
    'outcome',
  ],
  reconnect: ['ride_stream_reconnect_tokens_total', 'Reconnect tokens that were presented', 'outcome'],
  backpressure: ['ride_stream_backpressure_total', 'Sessions whose reader fell behind, by what was done', 'step'],
  presence: [
    'ride_presence_changes_total',
    'Users who came online or went offline, as this process recorded it',
    'state',
  ],
  ended: ['ride_stream_sessions_ended_total', 'Sessions that ended, by the code of their end', 'code'],
  refused: ['ride_stream_refused_total', 'Messages that were answered with an error', 'code'],
  turned_away: ['ride_stream_turned_away_total', 'Connections that were refused at the door', 'code'],
};

export function createStreamCounters(registry: Registry): (fact: StreamFact, label: string, count?: number) => void {
  const counters = new Map<StreamFact, { counter: PlainCounter; counts: Map<string, Count> }>();
  for (const [fact, [name, help, label]] of Object.entries(FACTS)) {
    const counter = new PlainCounter({ name, help, labelNames: [label], registers: [registry] });
    counters.set(fact as StreamFact, { counter, counts: new Map() });
  }
  return (fact, label, by = 1) => {
    const { counter, counts } = counters.get(fact)!;
    let count = counts.get(label);
    if (!count) {
      count = counter.series(label);
      counts.set(label, count);
    }
    count.value += by;
  };
}
