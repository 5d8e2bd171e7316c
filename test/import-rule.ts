/**
 * The import rule of ARCHITECTURE.md as a table, and a checker for it. A program is a record from path (`src/…`) to source,
 * so that the checker can be shown programs that break the rule.
 */
import { posix } from 'node:path';

export type Program = Readonly<Record<string, string>>;

export interface Import {
  /** As written. */
  specifier: string;
  /** Only types: gone when the program runs. */
  typeOnly: boolean;
}

/** What a folder may import: kinds of files of ours, with `type:` before those of which only types; packages with `npm:`, Node with `node:`. */
interface Rule {
  kind: string;
  files: RegExp;
  mayImport: readonly string[];
}

const TYPES_OF_DOMAIN = ['shared', 'type:document', 'type:rules', 'type:schemas'];
/** Libraries that talk to the outside live behind ports. */
const OUTSIDE = ['ioredis', 'bullmq', 'mongodb', '@platformatic/kafka', 'node:sqlite'];
const EDGE = [
  'realtime',
  'messages',
  'service',
  'schemas',
  'shared',
  'errors',
  'type:document',
  'type:rules',
  'type:ports',
  'type:plugins',
];
const ANY_LIBRARY = ['node:*', 'npm:*'];

/** First match counts. */
export const RULES: readonly Rule[] = [
  // What may be, and what becomes of it.
  { kind: 'rules', files: /^src\/domain\/[^/]+\/(rules|evolve)\.ts$/, mayImport: ['rules', 'shared'] },
  {
    kind: 'schemas',
    files: /^src\/domain\/([^/]+\/)?schemas\.ts$/,
    mayImport: ['schemas', 'shared', 'rules', 'document', 'type:ports', 'npm:typebox', 'npm:h3-js'],
  },
  // What is stored: src/domain/trips/trip.ts.
  {
    kind: 'document',
    files: /^src\/domain\/([^/]+)s\/\1\.ts$/,
    mayImport: ['document', 'rules', 'shared', 'ports', 'npm:typebox'],
  },
  // Use cases, and src/domain/services.ts which puts them together, of what parts.ts, collections.ts and relays.ts say.
  {
    kind: 'service',
    files: /^src\/domain\/([^/]+\/|(services|parts|collections|relays)\.ts$)/,
    mayImport: ['service', 'rules', 'document', 'schemas', 'shared', 'ports', 'errors', 'npm:typebox', 'npm:h3-js'],
  },
  {
    kind: 'shared',
    files: /^src\/domain\/[^/]+\.ts$/,
    mayImport: ['shared', 'type:ports', 'npm:typebox', 'npm:h3-js'],
  },
  { kind: 'ports', files: /^src\/ports\//, mayImport: ['ports', 'type:shared', 'type:document', 'type:rules'] },
  {
    kind: 'adapters',
    files: /^src\/adapters\//,
    mayImport: ['adapters', 'ports', 'errors', ...TYPES_OF_DOMAIN, ...ANY_LIBRARY],
  },
  {
    kind: 'messages',
    files: /^src\/realtime\/messages\//,
    mayImport: [
      'messages',
      'realtime',
      'service',
      'document',
      'rules',
      'schemas',
      'shared',
      'ports',
      'errors',
      ...ANY_LIBRARY,
    ],
  },
  {
    kind: 'realtime',
    files: /^src\/realtime\//,
    mayImport: ['realtime', 'messages', 'ports', 'errors', ...TYPES_OF_DOMAIN, ...ANY_LIBRARY],
  },
  { kind: 'routes', files: /^src\/routes\//, mayImport: ['routes', ...EDGE, ...ANY_LIBRARY] },
  { kind: 'websocket', files: /^src\/websocket\//, mayImport: ['websocket', ...EDGE, ...ANY_LIBRARY] },
  { kind: 'grpc', files: /^src\/grpc\//, mayImport: ['grpc', ...EDGE, ...ANY_LIBRARY] },
  {
    kind: 'jobs',
    files: /^src\/jobs\//,
    mayImport: ['jobs', 'service', 'document', 'shared', 'type:rules', 'ports', 'errors', 'npm:typebox'],
  },
  {
    kind: 'plugins',
    files: /^src\/plugins\//,
    mayImport: ['plugins', 'adapters', 'ports', 'config', 'errors', ...TYPES_OF_DOMAIN, ...ANY_LIBRARY],
  },
  { kind: 'config', files: /^src\/config(\.ts$|\/)/, mayImport: ['config', 'node:path'] },
  { kind: 'errors', files: /^src\/errors\.ts$/, mayImport: [] },
  { kind: 'app', files: /^src\/(compose\/)?[^/]+\.ts$/, mayImport: ['*'] },
];

/** One sentence for each broken rule; empty when the program keeps them all. */
export function violations(program: Program): string[] {
  const found: string[] = [];
  const graph = new Map<string, string[]>();
  for (const [file, source] of Object.entries(program)) {
    const rule = ruleOf(file);
    if (rule === undefined) {
      found.push(`${file} lies in no folder of the table`);
      continue;
    }
    if (file !== 'src/main.ts' && readsEnvironment(source))
      found.push(`${file} reads process.env; only src/main.ts may`);
    if (/(?<![\w.$])import\s*\(\s*(?!['"])/.test(source)) found.push(`${file} imports a computed name`);
    const targets: string[] = [];
    for (const { specifier, typeOnly } of importsOf(source)) {
      const target = resolveOwn(file, specifier);
      if (target !== undefined && !(target in program)) found.push(`${file} imports ${target}, which is not there`);
      if (target !== undefined) targets.push(target);
      const name = target === undefined ? libraryName(specifier) : ruleOf(target)?.kind;
      if (name === undefined || !allows(rule, name, typeOnly)) {
        found.push(
          `${file} (${rule.kind}) may not import ${typeOnly ? 'types of ' : ''}${target ?? specifier}${target ? ` (${name})` : ''}`,
        );
      }
    }
    graph.set(file, targets);
  }
  return [...found, ...cycles(graph).map((cycle) => `cycle: ${cycle.join(' → ')}`)];
}

export function importsOf(source: string): Import[] {
  const imports: Import[] = [];
  for (const match of source.matchAll(/^[ \t]*(?:import|export)\b([^'"`;=()]*?)\bfrom\s*(['"])(.+?)\2/gm)) {
    imports.push({ specifier: match[3]!, typeOnly: namesOnlyTypes(match[1]!) });
  }
  for (const match of source.matchAll(/^[ \t]*import\s*(['"])(.+?)\1/gm))
    imports.push({ specifier: match[2]!, typeOnly: false });
  for (const match of source.matchAll(/(typeof\s+)?(?<![\w.$])import\s*\(\s*(['"])(.+?)\2/g)) {
    imports.push({ specifier: match[3]!, typeOnly: match[1] !== undefined });
  }
  // The program of a worker thread.
  for (const match of source.matchAll(/new URL\(\s*(['"])(\.{1,2}\/.+?\.ts)\1/g))
    imports.push({ specifier: match[2]!, typeOnly: false });
  return imports;
}

/** `clause` stands between `import` and `from`: `type { A }` or `{ type A, type B }`. */
function namesOnlyTypes(clause: string): boolean {
  const text = clause.trim();
  if (/^type\b/.test(text)) return true;
  const names = /^\{([\s\S]*)\}$/
    .exec(text)?.[1]
    ?.split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return names !== undefined && names.length > 0 && names.every((name) => /^type\s/.test(name));
}

function ruleOf(file: string): Rule | undefined {
  return RULES.find((rule) => rule.files.test(file));
}

function allows(rule: Rule, name: string, typeOnly: boolean): boolean {
  const library = /^(npm|node):/.exec(name)?.[1];
  if (library !== undefined && OUTSIDE.includes(name.replace(/^npm:/, ''))) {
    return ['adapters', 'plugins', 'app'].includes(rule.kind);
  }
  const accepted = ['*', name, ...(library ? [`${library}:*`] : []), ...(typeOnly ? [`type:${name}`] : [])];
  return rule.mayImport.some((entry) => accepted.includes(entry));
}

function libraryName(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier;
  return `npm:${specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')}`;
}

/** Undefined for a library. */
function resolveOwn(file: string, specifier: string): string | undefined {
  if (specifier.startsWith('#src/')) return `src/${specifier.slice('#src/'.length)}`;
  if (!specifier.startsWith('.')) return undefined;
  return posix.join(posix.dirname(file), specifier);
}

function readsEnvironment(source: string): boolean {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
  return /\bprocess\s*(\?\.|\.)\s*env\b|\bprocess\s*\[|\{[^}]*\benv\b[^}]*\}\s*(=\s*process\b|from\s*'(node:)?process')/.test(
    code,
  );
}

/** Each cycle once, from its alphabetically first file. Types count: two files that need each other are one. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found = new Map<string, string[]>();
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const start = path.indexOf(file);
    if (start >= 0) {
      const cycle = path.slice(start);
      const first = cycle.indexOf([...cycle].sort()[0]!);
      const turned = [...cycle.slice(first), ...cycle.slice(0, first)];
      found.set(turned.join(), [...turned, turned[0]!]);
      return;
    }
    if (done.has(file)) return;
    path.push(file);
    for (const target of graph.get(file) ?? []) visit(target);
    path.pop();
    done.add(file);
  };
  for (const file of [...graph.keys()].sort()) visit(file);
  return [...found.values()];
}
