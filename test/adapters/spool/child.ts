/**
 * A process of its own for spool.test.ts: appends as fast as it can and prints the id of each record that is on the disk, and
 * meanwhile takes some and writes their ids down before it says so to the spool. Arguments: the folder, the number of the round.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { Spool } from '../../../src/adapters/spool/spool.ts';
import { recordOf } from './records.ts';

const [folder, round] = process.argv.slice(2) as [string, string];
const log = { debug() {}, info() {}, warn() {}, error() {} };
const spool = await Spool.open({ folder, maxBytes: 1e9, segmentBytes: 4096, log });
let n = 0;

async function append(): Promise<void> {
  for (;;) {
    const record = recordOf(`r${round}`, n++, Math.floor(Math.random() * 400));
    await spool.append([record]);
    process.stdout.write(`${record.id}\n`);
  }
}

async function take(): Promise<void> {
  for (;;) {
    const page = await spool.peek(2000);
    if (page) {
      appendFileSync(join(folder, 'taken.txt'), page.records.map(({ id }) => `${id}\n`).join(''));
      await spool.advance(page);
    }
    // Slower than the appends, so that some are left.
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

await Promise.all([append(), append(), append(), take()]);
