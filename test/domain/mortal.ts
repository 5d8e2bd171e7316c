/**
 * A process that is killed at a point of its work, before or after what it does there: an effect on the store, on Redis, on the queues
 * or at the payment provider. From then on it reads nothing and does nothing.
 */
import type { Ports } from '../../src/domain/services.ts';
import type { Collection, Store, StoredDocument } from '../../src/ports/store.ts';

export type When = 'before' | 'after';

/** What changes something outside the process, by port. */
const EFFECTS = {
  offers: ['reserve', 'release', 'save', 'remove'],
  positions: ['record', 'setAvailable', 'setUnavailable'],
  scheduler: ['schedule'],
  publisher: ['publishOrdered'],
  payments: ['hold', 'raise', 'capture', 'release'],
} as const;
const WRITES = ['insert', 'insertMany', 'compareAndSet', 'acknowledge', 'remove'];

export interface Mortal {
  wrapPorts(ports: Ports): Ports;
  isDead(): boolean;
  /** Names of the points that it came to, in order. */
  points: readonly string[];
}

/** @param at number of its last point, from 1; infinity for one that lives */
export function mortal(at: number, when: When): Mortal {
  const points: string[] = [];
  let dead = false;
  const killed = (): Error => new Error('killed');

  async function effect<T>(name: string, run: () => Promise<T>): Promise<T> {
    if (dead) throw killed();
    const isLast = points.push(name) === at;
    if (isLast && when === 'before') dead = true;
    if (dead) throw killed();
    const answer = await run();
    if (isLast) dead = true;
    if (dead) throw killed();
    return answer;
  }

  /** The same object, whose `effects` are points; nothing of it answers a dead process. */
  function wrap<T extends object>(port: string, real: T, effects: readonly string[]): T {
    return new Proxy(real, {
      get(target, key) {
        const value = Reflect.get(target, key);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          if (effects.includes(String(key)))
            return effect(nameOf(port, String(key), args), () => value.apply(target, args));
          if (!dead) return value.apply(target, args);
          // What promises never to fail is just not heard.
          if (key === 'publishLatest') return undefined;
          throw killed();
        };
      },
    });
  }

  const wrapStore = (store: Store): Store => ({
    ...store,
    collection: <T extends StoredDocument>(spec: { name: string }) =>
      wrap(spec.name, store.collection(spec as never) as Collection<T>, WRITES),
  });

  return {
    wrapPorts(ports) {
      const wrapped: Ports = { ...ports, store: wrapStore(ports.store) };
      for (const [port, effects] of Object.entries(EFFECTS)) {
        const name = port as keyof typeof EFFECTS;
        if (ports[name]) Object.assign(wrapped, { [name]: wrap(name, ports[name], effects) });
      }
      return wrapped;
    },
    isDead: () => dead,
    points,
  };
}

/** With the kind of message or of work, which says more than the method. */
function nameOf(port: string, method: string, args: readonly unknown[]): string {
  if (port === 'publisher') return `${port}.${method} ${args[1]}`;
  return port === 'scheduler' ? `${port}.${method} ${args[0]}` : `${port}.${method}`;
}
