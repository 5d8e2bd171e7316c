/** The demo as a program: its words on bad arguments, and that Ctrl-C leaves nothing running. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';

// A city takes its time, more of it on a busy machine.
t.setTimeout(120_000);

const demo = fileURLToPath(new URL('../../sim/demo.ts', import.meta.url));

function start(...args: string[]): {
  child: ChildProcess;
  output: () => string;
  said(pattern: RegExp): Promise<RegExpMatchArray>;
} {
  const child = spawn(process.execPath, [demo, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const looks: (() => void)[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      for (const look of looks) look();
    });
  }
  const said = (pattern: RegExp) =>
    new Promise<RegExpMatchArray>((resolve, reject) => {
      const look = () => {
        const match = output.match(pattern);
        if (match) resolve(match);
      };
      looks.push(look);
      child.once('exit', () => reject(new Error(`ended before it said ${pattern}:\n${output}`)));
      look();
    });
  return { child, output: () => output, said };
}

/** Processes whose parent is `pid`, and theirs. */
function descendants(pid: number): number[] {
  const children: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid) children.push(Number(name));
    } catch {
      // It ended between the listing and the look.
    }
  }
  return children.flatMap((child) => [child, ...descendants(child)]);
}

const isRunning = (pid: number) => {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
};

t.test('bad arguments are named, with their rule and a way to the help', async (t) => {
  const { child, output } = start('--speed', 'fast');
  const [code] = await once(child, 'close');
  t.equal(code, 2);
  t.match(output(), /demo: --speed: "fast" is not a number from 0.1 to 5000/);
  t.match(output(), /--help/);
});

t.test(
  'Ctrl-C ends everything that was started',
  { skip: process.platform !== 'linux' && 'reads /proc' },
  async (t) => {
    const { child, said, output } = start('--headless', '--servers', '2', '--until', '08:05', '--demand', '3000');
    t.after(() => child.kill('SIGKILL'));
    const [, address] = await said(/Live map {3}http:\/\/(\S+)\/map/);
    await said(/drivers online/);
    const started = descendants(child.pid!);
    // Two servers, their Redis, drivers, riders.
    t.ok(started.length >= 5, `${started.length} processes`);
    t.equal((await fetch(`http://${address}/map`)).status, 200, 'the live map is served');
    child.kill('SIGINT');
    const [code] = await once(child, 'close');
    t.equal(code, 130, output());
    const deadline = Date.now() + 5_000;
    while (started.some(isRunning) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
    t.same(started.filter(isRunning), []);
  },
);
