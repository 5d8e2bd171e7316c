/**
 * Calls that come while others are under way wait, and are made together: nobody waits while little is to be done, and the more there
 * is to do, the more of it is done at once.
 */
export interface Joining {
  /** Groups under way at once; while there are fewer, a call does not wait. */
  groups: number;
  /** Calls of one group. */
  most: number;
}

export type Settled<V> = PromiseSettledResult<V>;

export const settled = async <V>(promise: Promise<V>): Promise<Settled<V>> => (await Promise.allSettled([promise]))[0];

/** What a settled promise came to. @throws what it was rejected with */
export function unsettle<V>(result: Settled<V>): V {
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}

/**
 * @param run gets each key once, and answers for all of them
 * @returns the call of one key; it is made after the call and not before
 */
export function joined<K, V>(
  run: (keys: readonly K[]) => Promise<ReadonlyMap<K, Settled<V>>>,
  { groups, most }: Joining,
): (key: K) => Promise<V> {
  const waiting = new Map<K, PromiseWithResolvers<V>>();
  let underWay = 0;

  async function runNext(): Promise<void> {
    // What the same moment brings goes together.
    await null;
    const group = [...waiting].slice(0, most);
    if (group.length === 0) return;
    for (const [key] of group) waiting.delete(key);
    try {
      const results = await run(group.map(([key]) => key));
      for (const [key, { resolve, reject }] of group) {
        const result = results.get(key) ?? { status: 'rejected', reason: new Error('not answered') };
        if (result.status === 'fulfilled') resolve(result.value);
        else reject(result.reason);
      }
    } catch (error) {
      for (const [, { reject }] of group) reject(error);
    }
  }

  async function work(): Promise<void> {
    underWay++;
    while (waiting.size > 0) await runNext();
    underWay--;
  }

  return (key) => {
    let call = waiting.get(key);
    if (!call) {
      call = Promise.withResolvers<V>();
      waiting.set(key, call);
      if (underWay < groups) void work();
    }
    return call.promise;
  };
}
