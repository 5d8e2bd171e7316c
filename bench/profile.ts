/**
 * What the CPU profiles of a run say: `node bench/profile.ts DIR [SECONDS]` prints, for each process, where its own time went
 * after its first SECONDS (3), which are those of its start.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Profile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
    children?: number[];
  }[];
  samples: number[];
  timeDeltas: number[];
}

const TOP = 40;
const TOP_GROUPS = 16;
const START_S = 3;
const root = fileURLToPath(new URL('..', import.meta.url));
const IDLE = new Set(['(idle)', '(root)', '(program)']);

function nameOf({ functionName, url, lineNumber }: Profile['nodes'][number]['callFrame']): string {
  const file = url
    .replace('file://', '')
    .replace(root, '')
    .replace(/^.*node_modules\//, '');
  return `${functionName || '(anonymous)'} ${file === '' ? '' : `${file}:${lineNumber + 1}`}`.trim();
}

/** Own and whole share of each function of the time that the process was not idle, percent. */
function summarise(profile: Profile, skipUs: number): { name: string; self: number; total: number }[] {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const own = new Map<number, number>();
  let at = 0;
  for (const [i, id] of profile.samples.entries()) {
    at += profile.timeDeltas[i]!;
    if (at > skipUs) own.set(id, (own.get(id) ?? 0) + profile.timeDeltas[i]!);
  }
  const self = new Map<string, number>();
  const total = new Map<string, number>();
  let busy = 0;
  // A function that calls itself counts once on a path.
  const walk = (id: number, path: Set<string>): number => {
    const node = byId.get(id)!;
    const name = nameOf(node.callFrame);
    const outermost = !path.has(name);
    if (outermost) path.add(name);
    const mine = own.get(id) ?? 0;
    if (!IDLE.has(node.callFrame.functionName)) busy += mine;
    self.set(name, (self.get(name) ?? 0) + mine);
    let sum = mine;
    for (const child of node.children ?? []) sum += walk(child, path);
    if (outermost) {
      path.delete(name);
      total.set(name, (total.get(name) ?? 0) + sum);
    }
    return sum;
  };
  walk(profile.nodes[0]!.id, new Set());
  return [...self]
    .filter(([name]) => !IDLE.has(name))
    .filter(([, time]) => time > 0)
    .map(([name, time]) => ({ name, self: (100 * time) / busy, total: (100 * total.get(name)!) / busy }))
    .sort((a, b) => b.self - a.self);
}

/** The package, the file of ours or the part of Node that a function belongs to. */
function groupOf(name: string): string {
  const place = / (\S+):\d+$/.exec(name)?.[1];
  if (place === undefined) return name.startsWith('(garbage') ? name : 'native';
  if (place.startsWith('src/') || place.startsWith('bench/')) return place;
  if (place.startsWith('node:')) return place.replace(/^(node:(?:internal\/)?[^/]+).*$/, '$1');
  return place
    .split('/')
    .slice(0, place.startsWith('@') ? 2 : 1)
    .join('/');
}

function groups(rows: readonly { name: string; self: number }[]): [string, number][] {
  const sums = new Map<string, number>();
  for (const { name, self } of rows) sums.set(groupOf(name), (sums.get(groupOf(name)) ?? 0) + self);
  return [...sums].sort((a, b) => b[1] - a[1]).slice(0, TOP_GROUPS);
}

const [folder, seconds = START_S] = process.argv.slice(2);
if (folder === undefined) throw new Error('node bench/profile.ts DIR [SECONDS]');
for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
  if (!entry.endsWith('.cpuprofile')) continue;
  const rows = summarise(JSON.parse(readFileSync(join(folder, entry), 'utf8')) as Profile, Number(seconds) * 1e6);
  if (rows.length === 0) continue;
  console.log(`\n${entry}\n  self %  total %  function`);
  for (const { name, self, total } of rows.slice(0, TOP)) {
    console.log(`  ${self.toFixed(1).padStart(6)}  ${total.toFixed(1).padStart(7)}  ${name}`);
  }
  console.log('  by package or file, own time:');
  for (const [name, share] of groups(rows)) console.log(`  ${share.toFixed(1).padStart(6)}  ${name}`);
  const mine = rows.filter(({ name }) => name.includes(' src/')).sort((a, b) => b.total - a.total);
  if (mine.length > 0) console.log('  functions of ours, whole time:');
  for (const { name, total } of mine.slice(0, TOP_GROUPS)) console.log(`  ${total.toFixed(1).padStart(6)}  ${name}`);
}
