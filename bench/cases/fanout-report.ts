/** The report of the big topic: highest rates, fixed rates, two plots, and the ratios. */
import { atLeast, atMost, type CaseResult, type Table } from '../harness/result.ts';
import { median, medians } from '../harness/statistics.ts';
import { contenders, HELD_SHARE, labels, type Name, P95_LIMIT_MS, type Point, type Scale } from './fanout-rig.ts';

export interface Round {
  points: Point[];
  /** The highest rate that was held; 0 when none was. */
  best: Point | null;
}

export function fanOutReport(scale: Scale, results: Map<Name, Round[]>): CaseResult {
  const at = (name: Name, rate: number): Point | null => {
    const points = results.get(name)!.flatMap((r) => r.points.filter((p) => p.rate === rate));
    return points.length === 0
      ? null
      : { ...medians(points), held: points.filter((p) => p.held).length * 2 > points.length };
  };
  const bestRate = (name: Name): number => median(results.get(name)!.map((r) => r.best?.rate ?? 0));
  const best = (name: Name): number => median(results.get(name)!.map((r) => r.best?.deliveriesPerS ?? 0));
  const bestCpu = (name: Name): number => median(results.get(name)!.map((r) => r.best?.cpuPerMillion ?? Number.NaN));
  const highest: Table = {
    title: `Highest rate held (p95 ≤ ${P95_LIMIT_MS} ms, at least ${HELD_SHARE * 100} % delivered), ${scale.followers} followers`,
    columns: ['server', 'events/s', 'deliveries/s', 'server CPU s per million'],
    rows: contenders.map((name) => [labels[name], bestRate(name), best(name), bestCpu(name)]),
  };
  const fixed: Table = {
    title: 'At fixed rates',
    columns: [
      'events/s',
      'server',
      'delivered',
      'p50 ms',
      'p95 ms',
      'p99 ms',
      'server CPU s per million',
      'server cores',
      'generator cores',
      'Redis cores',
    ],
    rows: scale.rates.flatMap((rate) =>
      contenders.flatMap((name) => {
        const p = at(name, rate);
        return p
          ? [
              [
                String(rate),
                labels[name],
                p.share,
                p.p50Ms,
                p.p95Ms,
                p.p99Ms,
                p.cpuPerMillion,
                p.serverCpu,
                p.generatorCpu,
                p.redisCpu,
              ],
            ]
          : [];
      }),
    ),
  };
  const slow = scale.rates[0]!;
  const busy = scale.lastPeerRate;
  return {
    title: 'WebSocket fan-out, one big topic',
    method: [
      `${scale.followers} dispatchers' sockets follow one trip (\`trip:<id>\`, binary subprotocol); an event is a position of the trip's driver, about ${Math.round(at('ride', slow)!.bytesPerEvent)} bytes on the wire, ${Math.round(at('ws', slow)!.bytesPerEvent)} at the peers.`,
      `**Way in: driver.** The trip's driver sends \`location_update\` with its \`trip_id\` on one WebSocket, one message an event. Each is decoded, checked, written to Redis (up to 2 ms of them in one script call), acknowledged, encoded, published through Redis and only then fanned out; all of that is in the server's CPU figure. The server stops reading from a session that has 128 messages in work, so at the highest rates this way in is the limit and not the fan-out. **Way in: another node.** The same envelope is published to the topic's Redis channel from outside, as a second node does it: what is left is receiving and fan-out.`,
      'The peers get one message an event on one WebSocket and write it to every follower: no sign-in, no check, no Redis, no ack.',
      'Rates above what a server holds are kept only as long as they are counted; its CPU per delivery there is that of saturation. A rate that was not held though the server had time left is tried once more.',
    ],
    tables: [highest, fixed],
    plots: [
      {
        file: 'fanout-latency',
        title: `Fan-out to ${scale.followers}: p95 of a delivery`,
        x: 'events a second',
        y: 'p95, ms',
        series: contenders.map((name) => ({ name: labels[name], points: curve(results.get(name)!, (p) => p.p95Ms) })),
        limit: { y: P95_LIMIT_MS, label: `${P95_LIMIT_MS} ms` },
      },
      {
        file: 'fanout-cpu',
        title: `Fan-out to ${scale.followers}: server CPU of a million deliveries`,
        x: 'events a second',
        y: 'CPU seconds a million',
        series: contenders.map((name) => ({
          name: labels[name],
          points: curve(results.get(name)!, (p) => p.cpuPerMillion),
        })),
      },
    ],
    claims: [
      ...(['ride', 'bus'] as const).flatMap((name) => [
        atLeast(`highest rate held, over Socket.IO (${labels[name]})`, best(name) / best('socketio'), 20),
        atMost(
          `server CPU a delivery at ${busy} events/s, over bare ws (${labels[name]})`,
          at(name, busy)!.cpuPerMillion / at('ws', busy)!.cpuPerMillion,
          0.15,
        ),
        atMost(
          `median latency at ${slow} events/s, over bare ws (${labels[name]})`,
          at(name, slow)!.p50Ms / at('ws', slow)!.p50Ms,
          1.2,
        ),
      ]),
    ],
    raw: Object.fromEntries(results),
  };
}

/** Median of every rate that all rounds share or any one tried, by rate. */
function curve(rounds: readonly Round[], value: (point: Point) => number): [number, number][] {
  const byRate = new Map<number, number[]>();
  for (const { points } of rounds)
    for (const point of points) byRate.set(point.rate, [...(byRate.get(point.rate) ?? []), value(point)]);
  return [...byRate].map(([rate, values]): [number, number] => [rate, median(values)]).sort((a, b) => a[0] - b[0]);
}
