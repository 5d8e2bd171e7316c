/**
 * Runs a command, mostly tests, with every store of it in one MongoDB: the one that MONGODB_URL names, else a stand-in that ends with it.
 *
 *   node test/servers/on-mongodb.ts COMMAND [ARGUMENT…]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { startMongo } from './mongo.ts';

const [command, ...args] = process.argv.slice(2);
if (command === undefined) {
  console.error('usage: on-mongodb.ts COMMAND [ARGUMENT…]');
  process.exit(2);
}
const hooks: (() => unknown)[] = [];
const mongo = await startMongo({ after: (hook) => void hooks.push(hook) });
if ('skip' in mongo) {
  console.error(mongo.skip);
  process.exit(1);
}
const env = { ...process.env, MONGODB_URL: mongo.url, ...(mongo.real ? {} : { MONGODB_STAND_IN: '1' }) };
const child = spawn(command, args, { stdio: 'inherit', env });
const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
for (const hook of hooks) await hook();
if (signal) console.error(`${command} ended by ${signal}`);
process.exitCode = status ?? 1;
