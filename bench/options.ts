/** The command line of script/bench. */
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Size } from './harness/context.ts';

export interface Options {
  /** Names of the cases to run. */
  cases: CaseName[];
  size: Size;
  rounds: number;
  /** Folder of the report. */
  out: string;
  /** Folder for CPU profiles of the servers; none are made without. */
  profile?: string;
  maxMinutes: number;
  /** How long the case `sessions` holds them; its own time without. */
  holdMs?: number;
}

const DEFAULT_ROUNDS: Record<Size, number> = { full: 3, quick: 1, tiny: 1 };
const DEFAULT_MINUTES: Record<Size, number> = { full: 90, quick: 15, tiny: 5 };
const docs = fileURLToPath(new URL('../docs', import.meta.url));

/** Cases that a full run without names leaves out: they take long, and the machine for themselves. */
const ON_REQUEST = ['sessions'];

/** In the order in which they run. */
export const caseNames = [
  'fanout',
  'topics',
  'nodes',
  'grpc',
  'broadcast',
  'rest',
  'trips',
  'nearby',
  'assignment',
  'ingest',
  'memory',
  'sessions',
  'chaos',
] as const;
export type CaseName = (typeof caseNames)[number];

export const usage = (): string => `script/bench [CASE…] [options]

Cases: ${caseNames.join(', ')}; all when none is named, but ${ON_REQUEST.join(', ')} then only with --quick.

  --quick            a small run, to see that all is well
  --tiny             the smallest, for tests: no figures worth reading
  --rounds N         rounds; every server has its turn in each (3, or 1 with --quick)
  --out DIR          where benchmarks.md and benchmarks/ are written (docs)
  --profile DIR      CPU profiles of the servers, for node bench/profile.ts DIR
  --hold-seconds N   how long sessions are held (300, or less with --quick)
  --help             this text
  --max-minutes N    ends everything after N minutes (90, or 15 with --quick)
`;

/** Null when help was asked for. @throws Error that says what is wrong with the arguments */
export function parseOptions(args: readonly string[]): Options | null {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      tiny: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      out: { type: 'string', default: docs },
      profile: { type: 'string' },
      'max-minutes': { type: 'string' },
      'hold-seconds': { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return null;
  const unknown = positionals.find((name) => !(caseNames as readonly string[]).includes(name));
  if (unknown !== undefined) throw new Error(`there is no case ${unknown}; there are ${caseNames.join(', ')}`);
  const size: Size = values.tiny ? 'tiny' : values.quick ? 'quick' : 'full';
  return {
    cases: caseNames.filter((name) =>
      positionals.length === 0 ? size !== 'full' || !ON_REQUEST.includes(name) : positionals.includes(name),
    ),
    size,
    rounds: whole('--rounds', values.rounds, DEFAULT_ROUNDS[size]),
    out: isAbsolute(values.out) ? values.out : resolve(values.out),
    ...(values.profile === undefined ? {} : { profile: resolve(values.profile) }),
    ...(values['hold-seconds'] === undefined
      ? {}
      : { holdMs: 1000 * whole('--hold-seconds', values['hold-seconds'], 0) }),
    maxMinutes: whole('--max-minutes', values['max-minutes'], DEFAULT_MINUTES[size]),
  };
}

function whole(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error(`${name}: ${text} must be a whole number from 1 to 9999`);
  return Number(text);
}

if (import.meta.main) console.log(usage());
