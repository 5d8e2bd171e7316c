/** Counts what Redis answers, by operation, without a word of it in the adapters themselves. */

type Operations<T> = { readonly [K in keyof T]?: string };

const ignore = (): void => {};

/**
 * The same port, whose named methods tell `onHit` their operation: when the answer has come, or at once where a method gives
 * none. A failed call is no hit.
 */
export function counted<T extends object>(port: T, operations: Operations<T>, onHit: (operation: string) => void): T {
  const methods: Record<string, unknown> = {};
  for (const [name, operation] of Object.entries(operations) as [keyof T & string, string][]) {
    const method = port[name] as (...args: unknown[]) => unknown;
    const hit = (): void => onHit(operation);
    methods[name] = (...args: unknown[]) => {
      const reply = method.apply(port, args);
      if (reply instanceof Promise) reply.then(hit, ignore);
      else hit();
      return reply;
    };
  }
  return { ...port, ...methods };
}
