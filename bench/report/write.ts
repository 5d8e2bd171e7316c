/** Writes report, plots and raw figures, keeping the cases that were not run this time. */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { arch, cpus, platform, totalmem } from 'node:os';
import { join } from 'node:path';
import { findProgram } from '../../test/servers/process.ts';
import { type CaseRecord, type Machine, reportMarkdown } from './markdown.ts';
import { plotSvg } from './svg.ts';

type Records = Record<string, CaseRecord>;

export function machine(): Machine {
  const redis = findProgram('redis-server') ?? findProgram('valkey-server');
  const version = redis ? /\bv=(\S+)/.exec(execFileSync(redis, ['--version'], { encoding: 'utf8' }))?.[1] : undefined;
  return {
    cores: cpus().length,
    cpu: (cpus()[0]?.model ?? 'unknown').trim(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${arch()}`,
    node: process.versions.node,
    redis: `Redis ${version ?? 'unknown'}`,
  };
}

async function earlier(file: string): Promise<Records> {
  try {
    return (JSON.parse(await readFile(file, 'utf8')) as { cases: Records }).cases;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}

/**
 * @param docs folder of benchmarks.md
 * @param fresh the cases that were run; a quick one never replaces a full one
 * @param order names of all cases, as they shall stand in the report
 */
export async function writeReport(docs: string, fresh: Records, order: readonly string[]): Promise<string[]> {
  const folder = join(docs, 'benchmarks');
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'results.json');
  const records = await earlier(file);
  const kept: string[] = [];
  for (const [name, record] of Object.entries(fresh)) {
    if (records[name]?.size === 'full' && record.size !== 'full') kept.push(name);
    else records[name] = record;
  }
  const cases = Object.fromEntries(order.filter((name) => records[name]).map((name) => [name, records[name]!]));
  await writeFile(file, `${JSON.stringify({ cases }, rounded, 1)}\n`);
  await writeFile(join(docs, 'benchmarks.md'), reportMarkdown(Object.values(cases)));
  for (const { result } of Object.values(cases)) {
    for (const plot of result.plots) await writeFile(join(folder, `${plot.file}.svg`), plotSvg(plot));
  }
  return kept;
}

/** Six digits are more than any clock here can tell. */
const rounded = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && Number.isFinite(value) ? Number(value.toPrecision(6)) : value;
