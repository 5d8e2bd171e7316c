/** Two nodes that share Redis and a store, for properties that must hold whichever of them is asked. */
import { beside, build, type TestScope, type TestServer } from '../helper.ts';

export async function twoNodes(t: TestScope): Promise<[TestServer, TestServer]> {
  // Clients that a property holds open say nothing for a while.
  const env = { HEARTBEAT_TIMEOUT: '5m' };
  const a = await build(t, { env });
  const b = await build(t, { env: { ...env, ...beside(a) } });
  return [a, b];
}
