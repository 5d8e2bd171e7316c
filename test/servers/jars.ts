/** Servers that come as jars by Maven: fetched once a machine, into a folder that is made anew whenever its recipe changes. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from './process.ts';

const run = promisify(execFile);

export interface Recipe {
  /** Of the server; for people, and of the folder. */
  name: string;
  /** Path of the pom.xml that names its jars. */
  pom: string;
  /** What `prepare` goes by, besides the jars. */
  goesBy?: string;
  /** Makes what belongs beside the jars. */
  prepare?(folder: string): Promise<void>;
}

/** Resolves the folder with the jars, or `{ skip }`, the reason, where they cannot be had; where CI=true that is an error instead. */
export async function fetchJars({ name, pom, goesBy = '', prepare }: Recipe): Promise<string | { skip: string }> {
  const without = ['java', 'mvn'].filter((program) => !findProgram(program));
  if (without.length > 0) return missing(`${name}: no ${without.join(', ')} for a real server`);
  const recipe = createHash('sha256')
    .update(await readFile(pom))
    .update(goesBy);
  const target = join(tmpdir(), `ridestream-${name.toLowerCase()}-${recipe.digest('hex').slice(0, 12)}`);
  if (existsSync(target)) return target;
  const work = await mkdtemp(`${target}.`);
  const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${work}`];
  try {
    await run('mvn', ['-q', '-B', '-f', pom, ...goal]);
    await prepare?.(work);
    await rename(work, target);
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    // Another test process that fetched at the same time may have been first.
    if (!existsSync(target)) {
      const said = (error as { stdout?: string }).stdout || String(error);
      return missing(`${name}: it cannot be fetched by Maven and made ready: ${said.slice(0, 400)}`);
    }
  }
  return target;
}

function missing(skip: string): { skip: string } {
  if (process.env.CI === 'true') throw new Error(skip);
  return { skip };
}
