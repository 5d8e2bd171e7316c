/**
 * Schemathesis, a contract tester that knows nothing of us: it reads the API's document, makes requests of it that fit and that
 * do not, and holds every answer against it. Comes by pip, with what it needs, into a folder of its own once a machine.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findProgram } from './process.ts';
import { missing } from './wheel.ts';

const VERSION = '4.32.5';
const CONFIG = fileURLToPath(new URL('../contracts/schemathesis.toml', import.meta.url));
const run = promisify(execFile);

export interface Verdict {
  passed: boolean;
  /** What it printed: each failure with a curl that repeats it, and how much was tried. */
  report: string;
}

/** Resolves the folder of its modules, or `{ skip }`, the reason; where CI=true that is an error instead. */
export async function fetchSchemathesis(): Promise<string | { skip: string }> {
  const target = join(tmpdir(), `ridestream-schemathesis-${VERSION}`);
  if (existsSync(target)) return target;
  if (!findProgram('python3')) return missing('schemathesis: no python3 to run it');
  const work = await mkdtemp(`${target}.`);
  try {
    const wanted = ['--target', work, '--only-binary', ':all:', `schemathesis==${VERSION}`];
    await run('python3', ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--retries', '10', ...wanted]);
    await rename(work, target);
  } catch (error) {
    // Another process that fetched at the same time may have been first.
    if (!existsSync(target)) {
      const { stderr } = error as { stderr?: string };
      return missing(`schemathesis: pip cannot fetch it: ${stderr ?? error}`.slice(0, 400));
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return target;
}

/** Runs it against a server. @param modules of `fetchSchemathesis` @param document file @param token of whom the requests are */
export async function judgeContract(modules: string, document: string, url: string, token: string): Promise<Verdict> {
  const args = ['-m', 'schemathesis.cli', '--config-file', CONFIG, '--no-color', 'run', document, '--url', url];
  args.push('--header', `Authorization: Bearer ${token}`);
  const options = {
    // It keeps notes of what failed where it runs.
    cwd: modules,
    env: { ...process.env, PYTHONPATH: modules, NO_COLOR: '1', TERM: 'dumb' },
    maxBuffer: 64 * 1024 * 1024,
  };
  try {
    return { passed: true, report: (await run('python3', args, options)).stdout };
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: number | string; stdout?: string; stderr?: string };
    // 1: failures were found. All else is none of the server's.
    if (code !== 1) throw new Error(`schemathesis did not run: ${stderr || stdout || error}`);
    return { passed: false, report: stdout ?? '' };
  }
}
