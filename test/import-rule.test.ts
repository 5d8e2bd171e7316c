/** Holds every import under src/ against the table of ARCHITECTURE.md, and shows that a broken rule is caught. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { importsOf, type Program, RULES, violations } from './import-rule.ts';

const ROOT = join(import.meta.dirname, '..');

function readProgram(): Program {
  const files = globSync('src/**/*.{ts,js}', { cwd: ROOT }).map((file) => file.replaceAll('\\', '/'));
  return Object.fromEntries(files.map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]));
}

/** A program that keeps the rule, to which each case adds one file that does not. */
const CLEAN: Program = {
  'src/main.ts': "import { build } from './app.ts';\nbuild(process.env);",
  'src/app.ts':
    "import './adapters/redis/bus.ts';\nimport './routes/trips.ts';\nimport { loadConfig } from './config.ts';",
  'src/config.ts': "import { resolve } from 'node:path';\n// Only main.ts hands in process.env.",
  'src/errors.ts': 'export class RideError extends Error {}',
  'src/adapters/redis/bus.ts': "import { Redis } from 'ioredis';\nimport type { Bus } from '../../ports/bus.ts';",
  'src/ports/bus.ts': "import type { Trip } from '../domain/trips/trip.ts';",
  'src/domain/geo.ts': "import { latLngToCell } from 'h3-js';",
  'src/domain/trips/trip.ts': "import type { Status } from './rules.ts';",
  'src/domain/trips/rules.ts': "import { distance } from '../geo.ts';",
  'src/domain/trips/service.ts':
    "import { decide } from './rules.ts';\nimport type { Bus } from '../../ports/bus.ts';\nimport { RideError } from '#src/errors.ts';",
  'src/realtime/shard.ts': "import { RideError } from '../errors.ts';",
  'src/realtime/messages/sos.ts': "import { trips } from '../../domain/trips/service.ts';",
  'src/routes/trips.ts':
    "import { trips } from '../domain/trips/service.ts';\nimport type { FastifyInstance } from 'fastify';",
};

t.test('the source keeps the rule', async (t) => {
  const program = readProgram();
  t.ok(Object.keys(program).length > 20, 'the source was found');
  t.same(violations(program), []);
});

t.test('every rule of the table is in use', async (t) => {
  const files = Object.keys(readProgram());
  const first = (file: string) => RULES.find((rule) => rule.files.test(file))?.kind;
  const used = new Set(files.map(first));
  // schemas.ts is optional for a domain folder.
  t.same(
    RULES.map((rule) => rule.kind).filter((kind) => !used.has(kind) && kind !== 'schemas'),
    [],
  );
});

t.test('a clean program passes', async (t) => {
  t.same(violations(CLEAN), []);
});

const BROKEN: readonly [file: string, source: string, complaint: RegExp][] = [
  ['src/domain/trips/rules.ts', "import { randomBytes } from 'node:crypto';", /rules\) may not import node:crypto/],
  [
    'src/domain/trips/rules.ts',
    "import type { Clock } from '../../ports/bus.ts';",
    /rules\) may not import types of src\/ports/,
  ],
  [
    'src/domain/trips/rules.ts',
    "import { RideError } from '../../errors.ts';",
    /rules\) may not import src\/errors.ts/,
  ],
  ['src/domain/trips/rules.ts', "export * from 'h3-js';", /rules\) may not import h3-js/],
  ['src/domain/trips/schemas.ts', "import { Trips } from './service.ts';", /schemas\) may not import .*service/],
  ['src/domain/trips/service.ts', "import { Redis } from 'ioredis';", /service\) may not import ioredis/],
  [
    'src/domain/trips/service.ts',
    "import { bus } from '../../adapters/redis/bus.ts';",
    /service\) may not import .*adapters/,
  ],
  ['src/domain/trips/service.ts', "import fs from 'node:fs';", /service\) may not import node:fs/],
  [
    'src/domain/trips/service.ts',
    "const x = await import('../../adapters/redis/bus.ts');",
    /service\) may not import .*adapters/,
  ],
  ['src/domain/trips/service.ts', 'const x = await import(name);', /imports a computed name/],
  [
    'src/domain/trips/service.ts',
    "new Worker(new URL('../../adapters/redis/bus.ts', import.meta.url));",
    /may not import .*adapters/,
  ],
  ['src/domain/geo.ts', "import { now } from '../ports/bus.ts';", /shared\) may not import src\/ports/],
  ['src/ports/bus.ts', "import { decide } from '../domain/trips/rules.ts';", /ports\) may not import src\/domain/],
  [
    'src/ports/bus.ts',
    "import type { Trips } from '../domain/trips/service.ts';",
    /ports\) may not import types of .*service/,
  ],
  [
    'src/adapters/redis/bus.ts',
    "import { trips } from '../../domain/trips/service.ts';",
    /adapters\) may not import .*service/,
  ],
  [
    'src/adapters/redis/bus.ts',
    "import { loadConfig } from '../../config.ts';",
    /adapters\) may not import src\/config/,
  ],
  [
    'src/realtime/shard.ts',
    "import {\n  trips,\n} from '../domain/trips/service.ts';",
    /realtime\) may not import .*service/,
  ],
  [
    'src/realtime/shard.ts',
    "import type { Bus } from '../adapters/redis/bus.ts';",
    /realtime\) may not import types of .*adapters/,
  ],
  ['src/realtime/messages/sos.ts', "import { Redis } from 'ioredis';", /messages\) may not import ioredis/],
  ['src/routes/trips.ts', "import { bus } from '../adapters/redis/bus.ts';", /routes\) may not import .*adapters/],
  ['src/routes/trips.ts', "import { type Bus, bus } from '../ports/bus.ts';", /routes\) may not import src\/ports/],
  ['src/websocket/gateway.ts', "import { route } from '../routes/trips.ts';", /websocket\) may not import src\/routes/],
  ['src/grpc/server.ts', "import { DatabaseSync } from 'node:sqlite';", /grpc\) may not import node:sqlite/],
  ['src/jobs/sweep.ts', "import { Queue } from 'bullmq';", /jobs\) may not import bullmq/],
  ['src/plugins/trips.ts', "import { trips } from '../domain/trips/service.ts';", /plugins\) may not import .*service/],
  ['src/errors.ts', "import { loadConfig } from './config.ts';", /errors\) may not import src\/config/],
  ['src/config.ts', "import { readFileSync } from 'node:fs';", /config\) may not import node:fs/],
  ['src/app.ts', 'const port = process.env.PORT;', /src\/app.ts reads process.env/],
  ['src/app.ts', "import { env } from 'node:process';", /reads process.env/],
  ['src/app.ts', 'const { env } = process;', /reads process.env/],
  ['src/app.ts', "import { gone } from './gone.ts';", /imports src\/gone.ts, which is not there/],
  ['src/helpers/misc.ts', 'export {};', /lies in no folder of the table/],
];

t.test('a broken rule is caught', async (t) => {
  for (const [file, source, complaint] of BROKEN) {
    const found = violations({ ...CLEAN, [file]: source });
    t.match(found, [complaint], `${file}: ${source}`);
    // Some of these close a circle as well, which is the next test's matter.
    t.same(
      found.slice(1).filter((line) => !line.startsWith('cycle:')),
      [],
      'and nothing else is',
    );
  }
});

t.test('cycles are caught, through types too, each once', async (t) => {
  const file = (...targets: string[]) => targets.map((target) => `import type { X } from './${target}.ts';`).join('\n');
  const folder = 'src/realtime';
  const program = {
    [`${folder}/a.ts`]: file('b'),
    [`${folder}/b.ts`]: file('c', 'd'),
    [`${folder}/c.ts`]: file('a'),
    [`${folder}/d.ts`]: file('d'),
  };
  const names = (...letters: string[]) => `cycle: ${letters.map((letter) => `${folder}/${letter}.ts`).join(' → ')}`;
  t.same(violations(program), [names('a', 'b', 'c', 'a'), names('d', 'd')]);
});

t.test('reads imports as they are written', async (t) => {
  const source = `
import a, { type B } from 'a';
import { type C, type D } from 'b';
import type { E } from 'c';
export { f } from 'd';
export type { G } from 'e';
import 'f';
import * as h from "g";
type I = typeof import('h');
// import j from 'no';
 * import k from 'no';
export const from = 'no';
const text = "import l from 'no'";`;
  const read = importsOf(source).map(({ specifier, typeOnly }) => `${specifier}${typeOnly ? ' (types)' : ''}`);
  t.same(read.sort(), ['a', 'b (types)', 'c (types)', 'd', 'e (types)', 'f', 'g', 'h (types)']);
});
