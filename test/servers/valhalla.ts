/** A real Valhalla over a map of the test's choice: valhalla_service on a free loopback port, its tiles in a temporary folder. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type EngineServer, serve } from './osrm.ts';
import type { TestScope } from './process.ts';
import { unpackedWheel } from './wheel.ts';

const WHEEL = { name: 'pyvalhalla', version: '3.9.0', programs: 'valhalla/bin' };
const run = promisify(execFile);

/** Resolves the folder of its programs, or `{ skip }`, the reason. */
export const fetchValhalla = (): Promise<string | { skip: string }> => unpackedWheel(WHEEL);

/** Builds the tiles of `map` (osm.pbf) and serves them; `{ skip }`, the reason, where Valhalla cannot be had. */
export async function startValhalla(t: TestScope, map: string): Promise<EngineServer | { skip: string }> {
  const wheel = await fetchValhalla();
  if (typeof wheel !== 'string') return wheel;
  const program = (name: string): string => join(wheel, 'valhalla/bin', name);
  const folder = await mkdtemp(join(tmpdir(), 'rs-valhalla-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const { stdout } = await run('python3', [join(wheel, 'valhalla/valhalla_build_config.py')]);
  const settings = JSON.parse(stdout);
  const { mjolnir } = settings;
  mjolnir.tile_dir = join(folder, 'tiles');
  mjolnir.concurrency = 1;
  for (const name of ['tile_extract', 'traffic_extract', 'admin', 'landmarks', 'timezone']) delete mjolnir[name];
  for (const part of ['loki', 'thor', 'odin']) settings[part].service.proxy = `ipc://${folder}/${part}`;
  Object.assign(settings.httpd.service, {
    loopback: `ipc://${folder}/loopback`,
    interrupt: `ipc://${folder}/interrupt`,
  });
  const file = join(folder, 'valhalla.json');
  await writeFile(file, JSON.stringify(settings));
  await run(program('valhalla_build_tiles'), ['-c', file, map]);
  return serve(t, folder, async (port) => {
    settings.httpd.service.listen = `tcp://127.0.0.1:${port}`;
    await writeFile(file, JSON.stringify(settings));
    return [program('valhalla_service'), file, '1'];
  });
}
