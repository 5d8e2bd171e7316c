/**
 * Events remember the trace that they belong to: it is written with them, so that whoever relays them, this process at once or another
 * after a crash, goes on with it, and what they lead to belongs to it too.
 */
import type { Logger } from '../../ports/logger.ts';
import type { Collection, OutboxEvent, Store, StoredDocument } from '../../ports/store.ts';
import type { Trace, Tracing } from '../../ports/tracing.ts';
import { traceFacts } from '../trace-context.ts';
import type { OutboxHandler } from './relay.ts';

/** Beside what the event says; no event has a field of this name. */
const TRACE = 'trace';

/** The store, whose events are written with the trace that is under way. */
export function tracedStore(store: Store, tracing: Tracing): Store {
  function marked(events: readonly OutboxEvent[] | undefined): readonly OutboxEvent[] | undefined {
    const trace = events && events.length > 0 ? tracing.current() : undefined;
    return trace && events ? events.map((event) => ({ ...event, data: { ...event.data, [TRACE]: trace } })) : events;
  }
  return {
    ...store,
    collection<T extends StoredDocument>(spec: Parameters<Store['collection']>[0]): Collection<T> {
      const real = store.collection(spec) as unknown as Collection<T>;
      return {
        ...real,
        insert: (document, events) => real.insert(document, marked(events)),
        compareAndSet: (document, events) => real.compareAndSet(document, marked(events)),
      };
    },
  };
}

/** The handler, which is told of each event within its trace. */
export function tracedHandler(handler: OutboxHandler, tracing: Tracing): OutboxHandler {
  function within<T>(event: OutboxEvent, run: (event: OutboxEvent) => T): T {
    // Not written yet: it is told by the process that wrote it, within what it is part of.
    if (event.data[TRACE] === undefined) return run(event);
    const { [TRACE]: trace, ...data } = event.data;
    return tracing.within(trace as Trace, () => run({ ...event, data }));
  }
  const { record } = handler;
  return {
    publish: (id, event, restart) => within(event, (one) => handler.publish(id, one, restart)),
    react: (id, event, written) => within(event, (one) => handler.react(id, one, written)),
    ...(record ? { record: (id: string, event: OutboxEvent) => within(event, (one) => record(id, one)) } : {}),
  };
}

/** The log, each line of which names what it is about. */
export function tracedLog(log: Logger, tracing: Tracing): Logger {
  const about = (facts: object): object => ({ ...traceFacts(tracing.current()), ...facts });
  return {
    debug: (facts, message) => log.debug(about(facts), message),
    info: (facts, message) => log.info(about(facts), message),
    warn: (facts, message) => log.warn(about(facts), message),
    error: (facts, message) => log.error(about(facts), message),
  };
}
