/** A routing engine's server over the made-up town, as the conformance suite wants it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { EngineAddress } from '../../../src/adapters/routing/http.ts';
import type { RoutingEngine } from '../../../src/ports/routing.ts';
import type { RoutingPlace } from '../../conformance/routing.ts';
import { writeGridTown } from '../../servers/grid-town.ts';
import type { EngineServer } from '../../servers/osrm.ts';
import type { TestScope } from '../../servers/process.ts';

export type CommonOptions = EngineAddress & { batch: number; maxSnapM: number };

/** The map of the town in a folder that goes with the test. */
export async function townMap(t: TestScope): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-town-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const map = join(folder, 'town.osm.pbf');
  await writeGridTown(map);
  return map;
}

/** Runs `suite` on a real engine; where it cannot be had, a test that is skipped says so by name. */
export async function onEngine(
  t: Test,
  start: (t: TestScope, map: string) => Promise<EngineServer | { skip: string }>,
  create: (options: CommonOptions) => RoutingEngine,
  suite: (t: Test, place: RoutingPlace) => Promise<void>,
): Promise<void> {
  const server = await start(t, await townMap(t));
  if ('skip' in server) {
    await t.test('a real engine', { skip: server.skip }, async () => {});
    return;
  }
  let counts = { ok: 0, failed: 0, busy: 0 };
  await suite(t, {
    engine: ({ batch = 99, maxInFlight = 8, timeoutMs = 5000 } = {}) =>
      create({
        url: server.url,
        timeoutMs,
        maxInFlight,
        batch,
        maxSnapM: 500,
        meter: { asked: (_engine, outcome) => counts[outcome]++ },
      }),
    asked() {
      const seen = counts;
      counts = { ok: 0, failed: 0, busy: 0 };
      return seen;
    },
    kill: () => server.kill(),
    restart: () => server.restart(),
  });
}
