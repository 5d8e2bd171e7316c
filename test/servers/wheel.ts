/**
 * Programs that come in a Python wheel: fetched by pip once a machine and unpacked beside the other test servers. Python is not needed
 * to run them.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from './process.ts';

const run = promisify(execFile);

export interface WheelSpec {
  /** On PyPI. */
  name: string;
  version: string;
  /** Folder within it that holds the programs. */
  programs: string;
}

/**
 * Resolves the folder it was unpacked to, or `{ skip }`, the reason, where it cannot be had; where CI=true that is an error instead,
 * for a server that is missing there would hide failures.
 */
export async function unpackedWheel({ name, version, programs }: WheelSpec): Promise<string | { skip: string }> {
  const target = join(tmpdir(), `ridestream-${name}-${version}`);
  if (existsSync(target)) return target;
  if (!findProgram('python3')) return missing(`${name}: no python3 to fetch it with`);
  const work = await mkdtemp(`${target}.`);
  try {
    const python = (...args: string[]) => run('python3', ['-m', ...args], { cwd: work });
    const wanted = ['--python-version', '3.12', `${name}==${version}`];
    try {
      await python(
        'pip',
        'download',
        '-q',
        '--no-deps',
        '--only-binary',
        ':all:',
        '--retries',
        '10',
        '-d',
        '.',
        ...wanted,
      );
    } catch (error) {
      return missing(`${name}: pip cannot fetch it: ${(error as { stderr?: string }).stderr ?? error}`.slice(0, 400));
    }
    const [wheel] = (await readdir(work)).filter((file) => file.endsWith('.whl'));
    await python('zipfile', '-e', wheel!, '.');
    await rm(join(work, wheel!));
    for (const file of await readdir(join(work, programs))) await chmod(join(work, programs, file), 0o755);
    await rename(work, target);
  } catch (error) {
    // Another test process that fetched at the same time may have been first.
    if (!existsSync(target)) throw error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return target;
}

export function missing(skip: string): { skip: string } {
  if (process.env.CI === 'true') throw new Error(skip);
  return { skip };
}
