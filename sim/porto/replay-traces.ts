/**
 * Recorded GPS traces as live drivers on two nodes: each trace becomes a trip through the normal flow (requested, matched,
 * accepted, started), its points go by gRPC stream to one node, and each acknowledged point is read by REST from the other.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GrpcChannels } from '../clients/grpc-link.ts';
import { RestClient } from '../clients/rest.ts';
import { startCluster } from '../cluster.ts';
import type { Point } from '../geo.ts';
import { createDraw } from '../random.ts';
import { Scheduler } from '../scheduler.ts';
import { replaySettings } from '../server-settings.ts';
import { createSimClock } from '../sim-clock.ts';
import { TraceDriver, type TraceWorld } from './driver.ts';
import { createReadBack, type ReadBack } from './read-back.ts';
import type { Trace } from './traces.ts';

export interface TraceReplayOptions {
  speed: number;
  drivers: number;
  seed: number;
}

export interface TraceReplayResult extends ReadBack {
  completed: number;
  /** Whatever went against expectation, in words. */
  problems: string[];
  tookMs: number;
}

/** A trip that no driver takes ends without a driver's word. */
const LOOK_EVERY_MS = 3_000;
const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const keyOf = (pickup: Point, dropoff: Point) => `${pickup.lat},${pickup.lng},${dropoff.lat},${dropoff.lng}`;

export async function replayTraces(
  traces: readonly Trace[],
  options: TraceReplayOptions,
  onProgress: (completed: number, read: number) => void,
): Promise<TraceReplayResult> {
  const directory = mkdtempSync(join(tmpdir(), 'ridestream-traces-'));
  const { speed, seed } = options;
  const clock = { startMs: Date.parse('2013-07-01T00:00:00Z'), anchorMs: Date.now(), speed };
  // Any free driver may take any trip: what counts here is the way of a position, not the way to the rider.
  const settings = { ...replaySettings(clock), CITY: 'porto', MATCH_RADIUS_M: '100000' };
  const cluster = await startCluster({ servers: 2 }, settings, directory);
  const scheduler = new Scheduler();
  const [a, b] = cluster.addresses as [(typeof cluster.addresses)[0], (typeof cluster.addresses)[0]];
  const [rest, readFrom] = [
    new RestClient([a], createDraw(seed, 'a')),
    new RestClient([b], createDraw(seed, 'b'), 128),
  ];
  const channels = new GrpcChannels(options.drivers);
  const drivers: TraceDriver[] = [];
  const tokens = new Map<string, string>();
  const readBack = createReadBack(readFrom, (tripId) => tokens.get(tripId)!);
  const arrivals = new Map<string, () => void>();
  const problems: string[] = [];
  const byPlaces = new Map(traces.map((trace) => [keyOf(trace.points[0]!, trace.dropoff), trace]));
  const world: TraceWorld = {
    ...{ seed, writeTo: a, readFrom, rest, channels, scheduler, clock: createSimClock(clock) },
    traceOf: (pickup, dropoff) => byPlaces.get(keyOf(pickup, dropoff)),
    onAck: (position) => readBack.check(position),
    onCompleted: (tripId) => arrivals.get(tripId)?.(),
    onProblem: (text) => problems.push(text),
  };
  const startedMs = Date.now();
  let completed = 0;

  /** One rider after another on one line of traces, as many lines as drivers. */
  const ride = async (trace: Trace): Promise<void> => {
    const { token } = await rest.signIn('rider', `passenger-${trace.row}`);
    const body = { pickup: trace.points[0], dropoff: trace.dropoff };
    const trip = await rest.call({
      method: 'POST',
      path: '/api/v1/trips',
      token,
      body,
      idempotencyKey: `trace-${trace.row}`,
    });
    const path = `/api/v1/trips/${String(trip.id)}`;
    tokens.set(String(trip.id), token);
    const done = Promise.withResolvers<void>();
    arrivals.set(String(trip.id), done.resolve);
    for (;;) {
      await Promise.race([done.promise, wait(LOOK_EVERY_MS)]);
      const { status } = await rest.call({ method: 'GET', path, token });
      if (status === 'completed') completed += 1;
      else if (status === 'expired' || status === 'cancelled')
        problems.push(`the trip of row ${trace.row} is ${String(status)}`);
      else continue;
      return;
    }
  };

  const progress = setInterval(() => onProgress(completed, readBack.result.delaysMs.length), 5_000);
  try {
    for (let i = 0; i < options.drivers; i++)
      drivers.push(await TraceDriver.start(i + 1, traces[i % traces.length]!.points[0]!, world));
    let next = 0;
    const line = async () => {
      while (next < traces.length) await ride(traces[next++]!);
    };
    // Fewer trips at once than drivers, so that one is always free.
    await Promise.all(Array.from({ length: Math.max(1, options.drivers - 2) }, line));
    await readBack.settled();
    return { ...readBack.result, completed, problems, tookMs: Date.now() - startedMs };
  } finally {
    clearInterval(progress);
    for (const driver of drivers) driver.stop();
    channels.close();
    scheduler.stop();
    rest.close();
    readFrom.close();
    await cluster.stop(false);
    rmSync(directory, { recursive: true, force: true });
  }
}
