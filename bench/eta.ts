/**
 * How right are estimates by road? Real trips against a real OSRM with the roads of their city: the traffic is learnt, trip by trip and in
 * their order, on one half of the file by the server's own rules, and the other half is estimated before and after: script/eta --help.
 */
import { writeFile } from 'node:fs/promises';
import { readDriven } from './eta/driven.ts';
import { crossValidated, halves, judged, type Verdict } from './eta/judge.ts';
import { etaOptions, usage } from './eta/options.ts';

const options = etaOptions();
if (!options) {
  console.log(usage());
  process.exit(0);
}

/** Run in turn when all is done. */
const endings: (() => unknown)[] = [];
try {
  const { driven, read, refused } = await readDriven(options, (ending) => void endings.push(ending));
  const { teaching, asking } = halves(driven);
  const rows: Verdict[] = options.folds > 0 ? crossValidated(teaching, options.folds) : judged(teaching, asking);
  console.log(`${read} trips read, ${refused} rows refused, ${read - driven.length} not on the map;`);
  console.log(
    options.folds > 0
      ? `${teaching.length} of the teaching half: each of ${options.folds} parts asks what the others taught`
      : `${teaching.length} teach, ${asking.length} ask`,
  );
  console.table(rows);
  const summary = { read, refused, offTheMap: read - driven.length, teach: teaching.length, ask: asking.length, rows };
  if (options.json) await writeFile(options.json, `${JSON.stringify(summary, null, 2)}\n`);
} finally {
  for (const ending of endings.reverse()) await ending();
}
