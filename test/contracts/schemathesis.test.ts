/** A contract tester that is not ours holds a live server against the API's document. */
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { build } from '../helper.ts';
import { member } from '../scene.ts';
import { fetchSchemathesis, judgeContract } from '../servers/schemathesis.ts';

const DOCUMENT = fileURLToPath(new URL('../../openapi/openapi.yaml', import.meta.url));
/** Fewer requests would mean that it did not look at every operation. */
const FEWEST_CASES = 1000;

const modules = await fetchSchemathesis();

t.test(
  'Schemathesis finds nothing to complain of',
  { skip: typeof modules !== 'string' && modules.skip },
  async (t) => {
    const s = await build(t);
    const { token } = await member(s, 'admin');
    const { passed, report } = await judgeContract(modules as string, DOCUMENT, `http://${s.at.http}`, token);
    t.ok(passed, report);
    const cases = Number(/(\d+) generated/.exec(report)?.[1] ?? 0);
    t.ok(cases >= FEWEST_CASES, `${cases} requests were made`);
  },
);
