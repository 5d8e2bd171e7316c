/** The ride by hand of docs/operations.md, as it is written there: two nodes on MongoDB, curl and grpcurl, one node killed. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { startMongo } from '../servers/mongo.ts';
import { type Node, startNodes } from '../servers/nodes.ts';
import { findProgram } from '../servers/process.ts';
import { startRedis } from '../servers/redis.ts';

const LIMIT_MS = 90_000;
const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
/** All of its section but the first, which starts the nodes. */
const section = page.slice(page.indexOf('\n## A ride by hand'));
const blocks = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1]!).slice(1);

const mongo = await startMongo(t);
const missing = ['bash', 'curl', 'grpcurl'].filter((name) => !findProgram(name));
const without = missing.length > 0 && process.env.CI !== 'true' && `no ${missing.join(', ')} on PATH`;
const skip = without || ('skip' in mongo && mongo.skip);

t.test('a ride by hand, as the page says', { skip }, async (t) => {
  if ('skip' in mongo) return;
  const directory = await mkdtemp(join(tmpdir(), 'rs-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const [north, south] = (await startNodes(t, 2, directory, {
    REDIS_URL: (await startRedis(t)).url,
    MONGODB_URL: mongo.url,
    MONGODB_DATABASE: mongo.freshDatabase(),
    // A busy machine takes its time.
    OFFER_TTL: '60s',
    HEARTBEAT_TIMEOUT: '60s',
  })) as [Node, Node];
  const given = {
    ...{ north: north.http, north_grpc: north.grpc, north_pid: String(north.program.pid) },
    ...{ south: south.http, south_grpc: south.grpc },
  };
  t.equal(blocks.length, 4);
  const script = ['set -euo pipefail', "trap 'kill $(jobs -p) 2>/dev/null' EXIT", ...blocks].join('\n');
  const env = { ...process.env, ...given };
  const { stdout } = await promisify(execFile)('bash', ['-c', script], { cwd: directory, env, timeout: LIMIT_MS });
  const types = [...stdout.matchAll(/^"type":"(\w+)"$/gm)].map((match) => match[1]);
  t.same(types.slice(-3), ['driver_arrived', 'started', 'completed']);
  t.equal(new Set(types).size, types.length, `each once: ${types}`);
  t.match(stdout, /"state":"final"/);
  t.match(stdout, /"status":"settled"/);
  t.ok(north.program.ended(), 'one node was killed');
});
t.end();
