/**
 * One big topic: many followers of one trip, events at rising rates. For each server the highest rate whose deliveries all
 * arrive with a p95 within the limit, and the CPU of a delivery at fixed rates.
 */
import { alternate, type Context } from '../harness/context.ts';
import type { CaseResult } from '../harness/result.ts';
import { startRide } from '../harness/ride.ts';
import { type BenchTrip, makeTrips } from '../harness/trips.ts';
import { fanOutReport, type Round } from './fanout-report.ts';
import { build, contenders, measure, type Name, type Point, type Scale, scaleOf, settled } from './fanout-rig.ts';

async function round(context: Context, name: Name, scale: Scale, trip: BenchTrip): Promise<Round> {
  let rig = await build(context, name, scale, trip);
  const points: Point[] = [];
  const own = name === 'ride' || name === 'bus';
  async function once(rate: number): Promise<Point> {
    const point = await measure(context, rig, rate, scale);
    if (point.refusal !== '' || !(await settled(rig))) {
      await rig.stop();
      rig = await build(context, name, scale, trip);
    }
    return point;
  }
  const at = (rate: number): Promise<Point> => twiceIfIdle(() => once(rate), points);
  try {
    // Compiled code is what is measured.
    await measure(context, rig, scale.rates[1]!, scale);
    await settled(rig);
    for (const rate of scale.rates) if (own || rate <= scale.lastPeerRate) await at(rate);
    await climb(points, at, scale);
    const held = points.filter((point) => point.held).sort((a, b) => a.rate - b.rate);
    return { points, best: held.at(-1) ?? null };
  } finally {
    await rig.stop();
  }
}

/** A core of which a server used more was its own limit. */
const BUSY = 0.85;

/** A rate that a server did not hold though it had time left is tried once more: others use the machine too. */
export async function twiceIfIdle<P extends { held: boolean; serverCpu: number }>(
  measureOnce: () => Promise<P>,
  points: P[],
): Promise<P> {
  let point = await measureOnce();
  if (!point.held && point.serverCpu < BUSY) point = await measureOnce();
  points.push(point);
  return point;
}

/** Narrows the highest held rate down between one that was held and one that was not. */
export async function climb<P extends { rate: number; held: boolean }>(
  points: readonly P[],
  at: (rate: number) => Promise<P>,
  scale: { rates: readonly number[]; bisections: number },
): Promise<void> {
  if (scale.bisections === 0) return;
  let low = Math.max(0, ...points.filter((p) => p.held).map((p) => p.rate));
  let high = Math.min(Number.POSITIVE_INFINITY, ...points.filter((p) => !p.held && p.rate > low).map((p) => p.rate));
  if (low === 0) {
    low = scale.rates[0]! / 8;
  }
  for (let i = 0; high === Number.POSITIVE_INFINITY && i < 6; i++) {
    const rate = Math.round(low * 1.6);
    if ((await at(rate)).held) low = rate;
    else high = rate;
  }
  for (let i = 0; i < scale.bisections && high !== Number.POSITIVE_INFINITY; i++) {
    const rate = Math.round(Math.sqrt(low * high));
    if ((await at(rate)).held) low = rate;
    else high = rate;
  }
}

async function bigTrip(context: Context): Promise<BenchTrip> {
  const server = await startRide(context.ground);
  try {
    // A driver's id so long that an event has about as many bytes as a peer's.
    const [trip] = await makeTrips(server, 'the-one-big-topic-of-all', 1);
    return trip!;
  } finally {
    await server.stop();
  }
}

export async function fanOut(context: Context): Promise<CaseResult> {
  const scale = scaleOf(context);
  const trip = await bigTrip(context);
  const results = await alternate(
    context,
    contenders.map((name) => ({ name, run: () => round(context, name, scale, trip) })),
  );
  return fanOutReport(scale, results as Map<Name, Round[]>);
}
