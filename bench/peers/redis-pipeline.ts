/** Bare ioredis: explicit pipelines of one HSET and one GEOADD an update, as fast as Redis answers. */
import { Redis } from 'ioredis';
import { serve } from '../harness/remote.ts';
import { now } from '../harness/time.ts';

export interface PipelineArgs {
  redisUrl: string;
  drivers: number;
  /** Updates in one pipeline. */
  size: number;
  /** Pipelines under way at a time. */
  inFlight: number;
  durationMs: number;
}

const api = {
  async run(args: PipelineArgs): Promise<{ updates: number; seconds: number }> {
    const redis = new Redis(args.redisUrl);
    let updates = 0;
    const startedAt = now();

    async function lane(): Promise<void> {
      while (now() - startedAt < args.durationMs) {
        const pipeline = redis.pipeline();
        for (let i = 0; i < args.size; i++) {
          const driver = `bench-raw-${updates++ % args.drivers}`;
          const lat = 40.7 + (updates % 1000) / 10_000;
          const lng = -73.9 - (updates % 1000) / 10_000;
          const fields = [
            'timestamp',
            Date.now(),
            'lat',
            lat,
            'lng',
            lng,
            'driverId',
            driver,
            'vehicleClass',
            'standard',
          ];
          fields.push('city', 'benchville', 'source', 'stream', 'speed', 7.5, 'heading', 120, 'accuracy', 5);
          pipeline.hset(`bench:location:${driver}`, ...fields);
          pipeline.geoadd('bench:active-drivers', lng, lat, driver);
        }
        for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
      }
    }
    await Promise.all(Array.from({ length: args.inFlight }, lane));
    const seconds = (now() - startedAt) / 1000;
    await redis.quit();
    return { updates, seconds };
  },
};

export type PipelineApi = typeof api;
serve(api);
