/** The command line of the demo: every argument once, with its rule; a bad value names both. */
import { accessSync, constants } from 'node:fs';
import { parseArgs } from 'node:util';

export interface DemoOptions {
  trips?: string;
  /** Domain seconds a wall second. */
  speed: number;
  /** Undefined: as many as the busiest hour needs. */
  drivers?: number;
  riders: number;
  seed: number;
  /** Minutes of the day. */
  from?: number;
  until?: number;
  date?: string;
  /** Trips a day of the built-in city. */
  demand: number;
  servers: 1 | 2;
  /** Share of the trips, 0 to 1, after which one of two servers is killed. */
  killAt?: number;
  redis?: string;
  mongodb?: string;
  basemap?: string;
  json?: string;
  keep: boolean;
  usualPorts: boolean;
  headless: boolean;
  open: boolean;
}

/** An argument that cannot be used; the message names it and its rule. */
export class OptionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'OptionError';
  }
}

interface Rule<T> {
  rule: string;
  parse(text: string): T | undefined;
}

const number = (min: number, max: number, whole = false): Rule<number> => ({
  rule: `${whole ? 'a whole number' : 'a number'} from ${min} to ${max}`,
  parse: (text) => {
    const value = Number(text);
    return text.trim() !== '' && value >= min && value <= max && (!whole || Number.isInteger(value))
      ? value
      : undefined;
  },
});

const timeOfDay: Rule<number> = {
  rule: 'a time of day from 00:00 to 24:00, such as 08:30',
  parse: (text) => {
    const match = /^(\d{1,2}):(\d{2})$/.exec(text);
    const minutes = match ? Number(match[1]) * 60 + Number(match[2]) : Number.NaN;
    return match && Number(match[2]) < 60 && minutes <= 24 * 60 ? minutes : undefined;
  },
};

const date: Rule<string> = {
  rule: 'a date such as 2015-01-15',
  parse: (text) => (/^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)) ? text : undefined),
};

const file: Rule<string> = {
  rule: 'a file that can be read',
  parse: (text) => {
    try {
      accessSync(text, constants.R_OK);
      return text;
    } catch {
      return undefined;
    }
  },
};

const url = (...protocols: string[]): Rule<string> => ({
  rule: `a URL that begins with ${protocols.join(' or ')}`,
  parse: (text) => (protocols.some((protocol) => text.startsWith(protocol)) ? text : undefined),
});

const text: Rule<string> = { rule: 'a text that is not empty', parse: (value) => value || undefined };
const oneOrTwo: Rule<1 | 2> = { rule: '1 or 2', parse: (value) => (value === '1' ? 1 : value === '2' ? 2 : undefined) };

/** In the order of the help text: rule, placeholder, what it does. */
const valued = {
  trips: [file, 'FILE.csv', 'replay a file of real trips (columns of the NYC taxi files); without it, a built-in city'],
  speed: [number(0.1, 5000), 'N', 'how much faster than life (60)'],
  from: [timeOfDay, 'HH:MM', 'first trips at this time of day (built-in city: 08:00; a file: its start)'],
  until: [
    timeOfDay,
    'HH:MM',
    'no new trips from this time on (built-in city: two minutes of your time later; a file: its end)',
  ],
  date: [date, 'YYYY-MM-DD', 'the day to replay of a file of several days (its first)'],
  demand: [number(24, 1_000_000, true), 'N', 'trips a day of the built-in city (10000)'],
  drivers: [number(1, 20_000, true), 'N', 'drivers (as many as the busiest hour needs)'],
  riders: [number(1, 20_000, true), 'N', 'riders at once, at most (5000)'],
  seed: [number(0, 2 ** 31, true), 'N', 'seed of every choice (1)'],
  servers: [oneOrTwo, '1|2', 'server processes; two share one Redis and one store (1)'],
  'kill-at': [number(0, 1), 'SHARE', 'kill -9 the second server when this share of the trips has ended'],
  redis: [url('redis://', 'rediss://'), 'URL', 'a Redis to use instead of a private one'],
  mongodb: [url('mongodb://', 'mongodb+srv://'), 'URL', 'store in MongoDB instead of SQLite'],
  basemap: [file, 'FILE', 'GeoJSON drawn under the live map'],
  json: [text, 'FILE', 'write the summary there as JSON'],
} as const satisfies Record<string, readonly [Rule<unknown>, string, string]>;

const flags = {
  keep: 'keep the folder of this run (store, logs, ledgers)',
  headless: 'plain lines instead of a live display; opens no browser',
  'no-open': 'do not open the live map in a browser',
  help: 'this text',
} as const;

type Values = { [K in keyof typeof valued]?: (typeof valued)[K][0] extends Rule<infer T> ? T : never };

export function helpText(): string {
  const line = (name: string, doc: string) => `  ${name.padEnd(22)} ${doc}`;
  return [
    'script/demo: starts Ridestream, replays a city on it, and checks that nothing was lost.',
    '',
    ...Object.entries(valued).map(([name, [, placeholder, doc]]) => line(`--${name} ${placeholder}`, doc)),
    ...Object.entries(flags).map(([name, doc]) => line(`--${name}`, doc)),
  ].join('\n');
}

/** Undefined when help was asked for. Throws OptionError. */
export function parseOptions(args: readonly string[]): DemoOptions | undefined {
  const given = readArguments(args);
  if (given.help) return undefined;
  const values: Record<string, unknown> = {};
  for (const [name, [rule]] of Object.entries(valued)) {
    const raw = given[name];
    if (raw === undefined) continue;
    const value = rule.parse(String(raw));
    if (value === undefined) throw new OptionError(`--${name}: "${String(raw)}" is not ${rule.rule}`);
    values[name] = value;
  }
  const v = values as Values;
  if (v.from !== undefined && v.until !== undefined && v.from >= v.until) {
    throw new OptionError('--until: must be later than --from');
  }
  if (v['kill-at'] !== undefined && v.servers !== 2) throw new OptionError('--kill-at: needs --servers 2');
  if (v.date !== undefined && v.trips === undefined) throw new OptionError('--date: needs --trips');
  if (v.demand !== undefined && v.trips !== undefined)
    throw new OptionError('--demand: is for the built-in city, not for --trips');
  const { 'kill-at': killAt, ...rest } = v;
  return {
    ...rest,
    speed: v.speed ?? 60,
    riders: v.riders ?? 5000,
    seed: v.seed ?? 1,
    demand: v.demand ?? 10_000,
    servers: v.servers ?? 1,
    killAt,
    keep: given.keep === true,
    usualPorts: true,
    headless: given.headless === true,
    open: given['no-open'] !== true && given.headless !== true,
  };
}

function readArguments(args: readonly string[]): Record<string, unknown> {
  const options: Record<string, { type: 'string' | 'boolean' }> = {};
  for (const name of Object.keys(valued)) options[name] = { type: 'string' };
  for (const name of Object.keys(flags)) options[name] = { type: 'boolean' };
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new OptionError((error as Error).message);
  }
}

if (import.meta.main) console.log(helpText());
