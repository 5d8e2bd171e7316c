/** The report: docs/benchmarks.md, from the records of the cases. */
import type { CaseResult, Claim, Table } from '../harness/result.ts';

/** One case as it lies in results.json. */
export interface CaseRecord {
  /** RFC 3339. */
  at: string;
  size: 'full' | 'quick' | 'tiny';
  rounds: number;
  machine: Machine;
  /** Load average over a minute when the case began: how quiet the machine was. */
  loadBefore: number;
  result: CaseResult;
}

/** What kind of machine it was; nothing that tells which. */
export interface Machine {
  cores: number;
  cpu: string;
  memoryGb: number;
  system: string;
  node: string;
  redis: string;
}

const DIGITS = 3;

/** Three digits that count; a dash for what could not be measured. */
export function figure(value: string | number | null): string {
  if (typeof value === 'string') return value;
  if (value === null || !Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 1000) return Number(value.toPrecision(DIGITS)).toLocaleString('en');
  return String(Number(value.toPrecision(DIGITS)));
}

function tableLines({ title, columns, rows }: Table): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const numeric = columns.map((_, i) => rows.some((row) => typeof row[i] !== 'string'));
  return [
    ...(title === '' ? [] : [`**${title}**`, '']),
    line(columns),
    line(numeric.map((n) => (n ? '---:' : '---'))),
    ...rows.map((row) => line(row.map(figure))),
    '',
  ];
}

function claimLines(claims: readonly Claim[]): string[] {
  const rows = claims.map(({ what, ratio, goal, met }) => [what, ratio, goal, met ? 'yes' : '**no**']);
  return tableLines({ title: '', columns: ['ratio in the same run', 'figure', 'goal', 'met'], rows });
}

const machineText = (m: Machine): string =>
  `${m.cores} cores (${m.cpu}), ${m.memoryGb} GB, ${m.system}, Node ${m.node}, ${m.redis}`;

function caseLines({ at, size, rounds, machine, loadBefore, result }: CaseRecord): string[] {
  const how =
    size === 'full'
      ? `medians of ${rounds} rounds`
      : `a ${size} run of ${rounds}, to see that it works: not figures to rely on`;
  return [
    `## ${result.title}`,
    '',
    `${at.slice(0, 10)}, ${how}. ${machineText(machine)}; load average before: ${figure(loadBefore)}.`,
    '',
    ...result.method.flatMap((paragraph) => [paragraph, '']),
    ...claimLines(result.claims),
    ...result.tables.flatMap(tableLines),
    ...result.plots.flatMap(({ file, title }) => [`![${title}](benchmarks/${file}.svg)`, '']),
  ];
}

export function reportMarkdown(records: readonly CaseRecord[]): string {
  return [
    '# Benchmarks',
    '',
    'Written by `script/bench`; do not edit. The figures of every round are in [results.json](benchmarks/results.json).',
    '',
    'How it is measured:',
    '',
    '- The server is `src/main.ts` in a process of its own, with sign-in, limits, metrics (scraped every 5 s) and history on and an append-only Redis beside it. Limits are set so high that they count every request and refuse none; all else is at its default.',
    '- Peers and load generators are processes of their own too, all on loopback. Peers do the least that can be done; what they leave out is said with each case.',
    '- In each round every server has its turn, in an order that changes, and is started anew. Figures are medians over the rounds; what travels to another machine is their ratio.',
    '- Generators read bare sockets and find frames by their headers; nothing is decoded but the stamp of one event in 61. Their own CPU stands beside each figure: near one core, they are the limit.',
    '- CPU is user and system time of all threads by `/proc/PID/stat`, memory is `VmRSS`. "Cores" are CPU seconds a second. Server, generator and Redis share the machine\'s cores.',
    '',
    ...records.flatMap(caseLines),
  ].join('\n');
}
