/** The end of a replay, as tables for people and as JSON for programs. */
import { type Board, formatMs, latencyLabels } from './board.ts';
import type { LatencyName } from './clients/stats.ts';
import type { DemoOptions } from './options.ts';
import type { Plan } from './plan.ts';
import type { ReplayResult } from './replay.ts';

const SHOWN_DIFFERENCES = 20;
const SHOWN_REFUSALS = 10;

/** Domain seconds by which the schedule had slipped at its worst. */
export const lagS = (board: Board, speed: number) => (board.most('slipMs') * speed) / 1000;

function table(title: string, rows: [string, string | number][]): string[] {
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(
    ([name, value]) => `  ${name.padEnd(width)}  ${typeof value === 'number' ? value.toLocaleString('en-US') : value}`,
  );
  return [title, ...lines, ''];
}

function refusalLines({ refusals }: Plan): string[] {
  if (refusals.length === 0) return [];
  const lines = refusals.slice(0, SHOWN_REFUSALS).map(({ row, field, reason }) => `  row ${row}: ${field}: ${reason}`);
  const more = refusals.length - SHOWN_REFUSALS;
  return [
    'Rows refused',
    ...lines,
    ...(more > 0 ? [`  … and ${more} more (all of them are in the JSON summary: --json FILE)`] : []),
    '',
  ];
}

export function summaryText(options: DemoOptions, plan: Plan, result: ReplayResult): string {
  const { board, tookMs } = result;
  const { counts: c, differences } = result.check;
  const lag = lagS(board, options.speed);
  const latencies = [...board.latencies].filter(([, latency]) => latency.count > 0);
  const quantiles = (name: LatencyName, q: number) => formatMs(board.latencies.get(name)!.quantile(q));
  const lines = [
    '',
    ...table('Trips', [
      ['good rows, each requested once', c.goodRows],
      ['rows refused', c.refusedRows],
      ...(plan.outside > 0 ? [['good rows outside the slice', plan.outside] as [string, number]] : []),
      ['completed', c.completed],
      ['cancelled by their rider', c.cancelledByRider],
      ...(c.cancelledByDriver + c.cancelledByOthers > 0
        ? [['cancelled by others', c.cancelledByDriver + c.cancelledByOthers] as [string, number]]
        : []),
      ['expired for want of a driver', c.expired],
    ]),
    ...table('Events', [
      ["in the store's histories", c.eventsInStore],
      ['at the riders’ sockets, once each and in order', c.eventsReceived],
      ['repeats on the wire, dropped by event id', c.repeatsBeforeDedupe],
      ['locations acknowledged', board.count('locationsAcked')],
    ]),
    ...table('People', [
      ['drivers', plan.drivers],
      ['drivers who had a trip', c.driversWithTrips],
      ['riders, at most at once', board.most('mostRiders')],
      [
        'offers accepted / declined / ignored / accepted too late',
        ['won', 'offersDeclined', 'offersIgnored', 'offersTooLate'].map((n) => board.count(n)).join(' / '),
      ],
      ['reconnects', board.count('reconnects')],
    ]),
    ...table(
      `${'Latency, at the clients'.padEnd(40)}   p50 / p95 / p99`,
      latencies.map(([name]) => [
        latencyLabels[name],
        `${quantiles(name, 0.5)} / ${quantiles(name, 0.95)} / ${quantiles(name, 0.99)}`,
      ]),
    ),
    ...table('Time', [
      ['speed', `${options.speed} times life`],
      ['the replay took', `${(tookMs / 1000).toFixed(0)} s`],
      ['trips a second', (c.trips / (tookMs / 1000)).toFixed(1)],
      [
        'schedule slipped by',
        lag < 1 ? 'nothing' : `${Math.round(lag)} s of the city's time (${formatMs(board.most('slipMs'))})`,
      ],
    ]),
    ...refusalLines(plan),
  ];
  if (differences.length === 0) {
    lines.push('Check: no trip lost, no driver on two trips, no event missing, doubled or out of order.');
  } else {
    lines.push(`Check: ${differences.length} DIFFERENCES between the clients’ ledgers and the store`);
    for (const { rule, detail, ...ids } of differences.slice(0, SHOWN_DIFFERENCES)) {
      const named = Object.entries(ids).map(([name, id]) => `${name} ${id}`);
      lines.push(`  ${rule}: ${named.join(', ')}: ${detail}`);
    }
    if (differences.length > SHOWN_DIFFERENCES) lines.push(`  … and ${differences.length - SHOWN_DIFFERENCES} more`);
  }
  if (result.kept) lines.push(`Store, logs and ledgers are in ${result.directory}`);
  return lines.join('\n');
}

export function summaryJson(options: DemoOptions, plan: Plan, result: ReplayResult): Record<string, unknown> {
  const { board } = result;
  const latencies = Object.fromEntries(
    [...board.latencies].map(([name, latency]) => [
      name,
      {
        count: latency.count,
        p50_ms: latency.quantile(0.5),
        p95_ms: latency.quantile(0.95),
        p99_ms: latency.quantile(0.99),
      },
    ]),
  );
  const names = [
    'won',
    'offersDeclined',
    'offersIgnored',
    'offersTooLate',
    'reconnects',
    'locationsSent',
    'locationsAcked',
    'resyncs',
    'notes',
    'unknownDurations',
  ];
  return {
    source: plan.source,
    options,
    drivers: plan.drivers,
    took_ms: result.tookMs,
    schedule_slip_ms: board.most('slipMs'),
    counts: result.check.counts,
    clients: Object.fromEntries(names.map((name) => [name, board.count(name)])),
    latencies,
    refusals: plan.refusals,
    differences: result.check.differences,
    directory: result.kept ? result.directory : null,
  };
}
