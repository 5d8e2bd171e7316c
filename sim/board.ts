/** The figures of a running replay, added up over its client processes, and how they are shown while it runs. */
import type { LatencyName, StatsReport } from './clients/stats.ts';
import { Latency } from './latency.ts';

/** In the order of their showing: what was measured, by the client, on the wall clock. */
export const latencyLabels: Record<LatencyName, string> = {
  request: 'trip request → 201',
  accept: 'offer accepted → ack',
  step: 'arrive, start, complete → ack',
  location: 'location → ack',
  event: "event published → rider's socket",
};

export interface Totals {
  trips: number;
  refused: number;
  drivers: number;
}

export class Board {
  readonly totals: Totals;
  readonly latencies = new Map<LatencyName, Latency>();
  private readonly reports = new Map<string, Record<string, number>>();
  private lastEvents = { atMs: Date.now(), count: 0 };
  private ratePerS = 0;
  readonly startedMs = Date.now();

  constructor(totals: Totals) {
    this.totals = totals;
    for (const name of Object.keys(latencyLabels) as LatencyName[]) this.latencies.set(name, new Latency());
  }

  /** A report of one process: its totals replace the earlier ones, its latencies are added. */
  take(process: string, { counts, latencies }: StatsReport): void {
    this.reports.set(process, counts);
    for (const [name, added] of Object.entries(latencies)) this.latencies.get(name as LatencyName)?.merge(added);
    const now = Date.now();
    if (now - this.lastEvents.atMs < 1_000) return;
    const count = this.count('events') + this.count('locationsAcked');
    this.ratePerS = ((count - this.lastEvents.count) * 1000) / (now - this.lastEvents.atMs);
    this.lastEvents = { atMs: now, count };
  }

  /** Sum over the processes. */
  count(name: string): number {
    let sum = 0;
    for (const counts of this.reports.values()) sum += counts[name] ?? 0;
    return sum;
  }

  /** The largest of the processes' values. */
  most(name: string): number {
    return Math.max(0, ...[...this.reports.values()].map((counts) => counts[name] ?? 0));
  }

  get ended(): number {
    return ['completed', 'cancelled', 'expired', 'unheard'].reduce((sum, how) => sum + this.count(`rides:${how}`), 0);
  }

  /** Changes whenever anything happens to any trip. */
  get pulse(): number {
    return this.count('requested') + this.count('requestsFailed') + this.ended + this.count('events');
  }

  private times(name: LatencyName): string {
    const latency = this.latencies.get(name)!;
    return `${formatMs(latency.quantile(0.5))} / ${formatMs(latency.quantile(0.95))}`;
  }

  /** The live display, a few lines. `clock`: the city's time; `lagS`: how far the schedule is behind, domain seconds. */
  lines(clock: string, lagS: number): string[] {
    const { trips, refused, drivers } = this.totals;
    const width = 32;
    const filled = Math.round((this.ended / trips) * width);
    const bar = '█'.repeat(filled) + '░'.repeat(width - filled);
    const lag = lagS >= 1 ? `   behind schedule ${Math.round(lagS)} s` : '';
    return [
      `${clock}  ${bar}  ${this.ended} of ${trips} trips${lag}`,
      `trips      ${this.count('rides:completed')} completed · ${this.active} under way · ${this.count('waiting')} waiting for a driver · ${refused} rows refused`,
      `people     ${this.count('driversOnline')} of ${drivers} drivers online (${this.count('driversOnTrip')} on a trip) · ${this.count('ridersOnline')} riders online`,
      `p50 / p95  request ${this.times('request')} · accept ${this.times('accept')} · location ${this.times('location')} · event ${this.times('event')}`,
      `messages   ${Math.round(this.ratePerS)} a second · ${this.count('events')} trip events · ${this.count('locationsAcked')} locations`,
    ];
  }

  get active(): number {
    return this.count('requested') - this.ended - this.count('waiting');
  }

  /** The same as one plain line, for logs. */
  line(clock: string, lagS: number): string {
    const lag = lagS >= 1 ? `, ${Math.round(lagS)} s behind` : '';
    const trips = `${this.ended}/${this.totals.trips} trips done, ${this.active} active, ${this.count('waiting')} waiting, ${this.totals.refused} refused`;
    const p95 = (name: LatencyName) => formatMs(this.latencies.get(name)!.quantile(0.95));
    return `${clock}  ${trips}; ${this.count('driversOnline')} drivers online; p95 request ${p95('request')}, accept ${p95('accept')}, location ${p95('location')}, event ${p95('event')}; ${Math.round(this.ratePerS)} messages/s${lag}`;
  }
}

export function formatMs(ms: number | null): string {
  if (ms === null) return '–';
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Shows the board until stopped: redrawn in place on a terminal, a line every few seconds elsewhere. */
export function showBoard(board: Board, live: boolean, clock: () => string, lagS: () => number): () => void {
  const everyMs = live ? 500 : 5_000;
  let drawn = 0;
  const draw = () => {
    if (!live) {
      console.log(board.line(clock(), lagS()));
      return;
    }
    const columns = process.stdout.columns || 120;
    const lines = board.lines(clock(), lagS()).map((line) => `\x1b[2K${line.slice(0, columns - 1)}`);
    process.stdout.write(`${drawn ? `\x1b[${drawn}A` : ''}${lines.join('\n')}\n`);
    drawn = lines.length;
  };
  const timer = setInterval(draw, everyMs);
  return () => {
    clearInterval(timer);
    draw();
  };
}
