/** One face for the two generators of locations, by WebSocket and by gRPC. */
import type { Context } from '../harness/context.ts';
import { HOST } from '../harness/programs.ts';
import { startGenerator } from '../harness/remote.ts';
import { SECRET } from '../harness/ride.ts';
import type { Latency } from '../harness/statistics.ts';
import type { Member } from '../load/dialects.ts';
import type { StreamsApi } from '../load/streams.ts';
import { EVENT_BYTES, startLoad } from './contenders.ts';

/** A load of locations, whichever the transport. */
export interface LocationLoad {
  pid: number;
  connect(batch: number): Promise<void>;
  loop(): Promise<void>;
  publish(perSecond: number): Promise<void>;
  begin(): Promise<void>;
  read(): Promise<{
    answers: number;
    windowMs: number;
    latency: Latency;
    errors: number;
    ended: number;
    reason: string;
  }>;
  quiet(): Promise<void>;
  stop(): Promise<void>;
}

export async function webSocketLoad(
  context: Context,
  port: number,
  kind: 'ride' | 'echo',
  members: Member[],
): Promise<LocationLoad> {
  const load = await startLoad(context, 'drivers');
  return {
    ...load,
    async connect(batch) {
      const dialect = { kind, secret: SECRET, batch, eventBytes: EVENT_BYTES };
      await load.call('connect', {
        host: HOST,
        port,
        dialect,
        members,
        follow: false,
        lookAtAll: true,
        minEventBytes: 0,
      });
    },
    loop: () => load.call('loop', { inFlight: 1 }),
    publish: (perSecond) => load.call('publish', { perSecond }),
    begin: () => load.call('begin', undefined),
    async read() {
      const counted = await load.call('read', undefined);
      return { ...counted, answers: counted.acks, latency: counted.ackLatency };
    },
    async quiet() {
      await load.call('quiet', undefined);
    },
  };
}

export async function grpcLoad(context: Context, port: number, members: Member[]): Promise<LocationLoad> {
  const load = await startGenerator<StreamsApi>(context.ground, 'streams', 'load/streams.ts');
  return {
    ...load,
    connect: (batch) =>
      load.call('connect', {
        host: HOST,
        port,
        echo: false,
        secret: SECRET,
        members,
        connections: members.length,
        batch,
      }),
    loop: () => load.call('loop', { inFlight: 1 }),
    publish: (perSecond) => load.call('publish', { perSecond }),
    begin: () => load.call('begin', undefined),
    async read() {
      const counted = await load.call('read', undefined);
      return { ...counted, answers: counted.messages };
    },
    quiet: () => load.call('quiet', undefined),
  };
}
