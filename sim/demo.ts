/**
 * The demo on the command line (script/demo): a city's trips on real servers, watched while they happen and checked at the
 * end. Exit code 0: nothing differs; 1: something does; 2: the replay could not be run; 130: interrupted.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { showBoard } from './board.ts';
import { loadCity } from './city/figures.ts';
import { CsvError } from './csv.ts';
import { type DemoOptions, helpText, OptionError, parseOptions } from './options.ts';
import { makePlan, type Plan } from './plan.ts';
import { type ReplayResult, replay } from './replay.ts';
import { lagS, summaryJson, summaryText } from './summary.ts';
import { HeaderError } from './trips-csv.ts';

/** Opens the page where a desktop is at hand; a machine without one has nothing to open it with. */
function openInBrowser(url: string): void {
  const command =
    process.platform === 'darwin'
      ? 'open'
      : process.env.DISPLAY || process.env.WAYLAND_DISPLAY
        ? 'xdg-open'
        : undefined;
  if (!command) return;
  const opener = spawn(command, [url], { stdio: 'ignore', detached: true });
  opener.on('error', () => console.log(`(open ${url} in a browser)`));
  opener.unref();
}

async function run(options: DemoOptions, signal: AbortSignal): Promise<{ plan: Plan; result: ReplayResult }> {
  const city = loadCity();
  const plan = await makePlan(options, city);
  const clockOf = (ms: number) => city.zone.clockAt(ms);
  console.log(
    `Ridestream replays ${plan.trips.length} trips of ${plan.source} from ${clockOf(plan.fromMs)} at ${options.speed} times life,`,
  );
  console.log(`with ${plan.drivers} drivers on gRPC and the riders on WebSocket and REST.`);
  const live = process.stdout.isTTY === true && !options.headless;
  let hide = () => {};
  const result = await replay(
    options,
    city,
    plan,
    {
      onServing(servers) {
        const map = `http://${servers[0]!.http}/map`;
        console.log(`\nLive map   ${map}\nREST       http://${servers[0]!.http}/docs   gRPC ${servers[0]!.grpc}`);
        if (servers[1]) console.log(`Second     http://${servers[1].http}/map   gRPC ${servers[1].grpc}`);
        console.log('');
        if (options.open && live) openInBrowser(map);
      },
      onRunning(board, clock) {
        hide = showBoard(
          board,
          live,
          () => clockOf(clock.now()),
          () => lagS(board, options.speed),
        );
      },
      onChecking() {
        hide();
        hide = () => {};
        console.log('\nEverything has ended; the ledgers are held against the store …');
      },
      onNote: (text) => console.log(`\n! ${text}\n`),
    },
    signal,
  ).finally(() => hide());
  return { plan, result };
}

async function main(): Promise<number> {
  const abort = new AbortController();
  process.on('SIGINT', () => {
    // A second Ctrl-C does not wait; what was started is then killed by its guards.
    if (abort.signal.aborted) process.exit(130);
    abort.abort();
    console.log('\nStopping …');
  });
  process.on('SIGTERM', () => abort.abort());
  try {
    const options = parseOptions(process.argv.slice(2));
    if (!options) {
      console.log(helpText());
      return 0;
    }
    const { plan, result } = await run(options, abort.signal);
    console.log(summaryText(options, plan, result));
    if (options.json) writeFileSync(options.json, `${JSON.stringify(summaryJson(options, plan, result), null, 2)}\n`);
    return result.check.differences.length === 0 ? 0 : 1;
  } catch (error) {
    if (abort.signal.aborted) return 130;
    const isOurs = error instanceof OptionError || error instanceof HeaderError || error instanceof CsvError;
    console.error(`demo: ${isOurs ? error.message : error instanceof Error ? error.stack : String(error)}`);
    if (error instanceof OptionError) console.error('script/demo --help shows all arguments.');
    return 2;
  }
}

process.exit(await main());
