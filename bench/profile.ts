/** What the CPU profiles of a run say: `node bench/profile.ts DIR` prints, for each process, where its own time went. */
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
function summarise(profile: Profile): { name: string; self: number; total: number }[] {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const own = new Map<number, number>();
  for (const [i, id] of profile.samples.entries()) own.set(id, (own.get(id) ?? 0) + profile.timeDeltas[i]!);
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
    .map(([name, time]) => ({ name, self: (100 * time) / busy, total: (100 * total.get(name)!) / busy }))
    .sort((a, b) => b.self - a.self);
}

for (const entry of readdirSync(process.argv[2]!, { recursive: true, encoding: 'utf8' }).sort()) {
  if (!entry.endsWith('.cpuprofile')) continue;
  const rows = summarise(JSON.parse(readFileSync(join(process.argv[2]!, entry), 'utf8')) as Profile);
  console.log(`\n${entry}\n  self %  total %  function`);
  for (const { name, self, total } of rows.slice(0, TOP)) {
    console.log(`  ${self.toFixed(1).padStart(6)}  ${total.toFixed(1).padStart(7)}  ${name}`);
  }
}
