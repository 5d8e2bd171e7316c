/** The command line of script/dispatch. */
import { parseArgs } from 'node:util';

export interface Options {
  /** Requests, with the columns of the NYC taxi files. */
  file: string;
  seeds: number;
  /** Hours of the day, local time; the second is not in it. */
  from: number;
  until: number;
  density: number;
  busy: number;
  windowS: number;
  /** Where every figure is written. */
  json?: string;
}

export const usage = (): string => `script/dispatch FILE.csv [options]

Dispatchers side by side on the same requests, in virtual time: the nearest driver, the server's own rules, the best window batch and one who
knows the next ten minutes. FILE.csv has the columns of the NYC taxi files. Exit code 1 when a decision does not replay to the same result.

  --seeds N          runs, each with other drivers and nine of ten requests (5)
  --from HOUR        first hour of the day, local time (17)
  --until HOUR       hour at which it ends (22)
  --density N        the day is compressed so many times, for the file is a sample (8)
  --busy SHARE       share of its time that the fleet is busy; sizes it (0.68)
  --window SECONDS   window of the server's decisions (10)
  --json FILE        every figure of every seed
  --help             this text
`;

/** Null when help was asked for. @throws Error that says what is wrong with the arguments */
export function parseOptions(args: readonly string[]): Options | null {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seeds: { type: 'string', default: '5' },
      from: { type: 'string', default: '17' },
      until: { type: 'string', default: '22' },
      density: { type: 'string', default: '8' },
      busy: { type: 'string', default: '0.68' },
      window: { type: 'string', default: '10' },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  const [file, ...more] = positionals;
  if (!file || more.length > 0) throw new Error('one file of requests is wanted');
  const number = (
    name: 'seeds' | 'from' | 'until' | 'density' | 'busy' | 'window',
    min: number,
    max: number,
  ): number => {
    const value = Number(values[name]);
    if (values[name].trim() !== '' && value >= min && value <= max) return value;
    throw new Error(`--${name}: ${values[name]} must be a number from ${min} to ${max}`);
  };
  const from = number('from', 0, 23);
  return {
    file,
    seeds: Math.floor(number('seeds', 1, 1000)),
    from,
    until: number('until', from + 1, 24),
    density: number('density', 1, 1000),
    busy: number('busy', 0.05, 0.95),
    windowS: number('window', 1, 60),
    ...(values.json === undefined ? {} : { json: values.json }),
  };
}

if (import.meta.main) console.log(usage());
