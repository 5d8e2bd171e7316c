/** The command line of script/eta. */
import { parseArgs } from 'node:util';

export interface EtaOptions {
  trips: string;
  map: string;
  timeZone: string;
  /** 0: the asking half is asked; else that many parts of the teaching half ask each other. */
  folds: number;
  json?: string;
}

export const usage = (): string => `script/eta TRIPS.csv MAP.osm.pbf [options]

TRIPS.csv has the columns of New York's taxi files, or those of the taxi traces of Porto; MAP.osm.pbf the roads. Odd rows teach, even ones ask.
Trips with an end farther than 500 m from every road of the map, and rows that cannot be trips, are left out and counted.

  --folds N          asks nothing of the asking half: N parts of the teaching half ask each other, to choose a model by
  --time-zone ZONE   of the times in New York's files (America/New_York)
  --json FILE        writes the figures there too
  --help             this text
`;

/** Null when help was asked for; ends the process with what is wrong with the arguments. */
export function etaOptions(args = process.argv.slice(2)): EtaOptions | null {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      folds: { type: 'string', default: '0' },
      'time-zone': { type: 'string', default: 'America/New_York' },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return null;
  const [trips, map, ...more] = positionals;
  const folds = Number(values.folds);
  if (!trips || !map || more.length > 0 || !(folds === 0 || (Number.isInteger(folds) && folds >= 2 && folds <= 20))) {
    console.error(usage());
    process.exit(2);
  }
  return { trips, map, folds, timeZone: values['time-zone'], ...(values.json ? { json: values.json } : {}) };
}

if (import.meta.main) console.log(usage());
