/** `porter:telematics:{porterId}`: the newest that a driver's device said of itself, as JSON, for as long as his position lives. */
import type { Telematics } from '../../domain/telematics/rules.ts';
import type { Logger } from '../../ports/logger.ts';
import type { TelematicsBoard } from '../../ports/telematics.ts';
import { orAway, redisAway } from './connection.ts';
import { createOutage } from './outage.ts';
import type { ScriptedRedis } from './scripts.ts';
import { createTurnWrites } from './turn-writes.ts';

/** Between two writes of one driver: no limit counts heartbeats, which come with news as fast as a connection carries them. */
const REST_MS = 1000;

const keyOf = (driverId: string): string => `porter:telematics:${driverId}`;

interface Stored {
  battery?: number;
  signal?: number;
  background?: boolean;
  appVersion?: string;
  timestamp: number;
}

interface Waiting {
  text: string;
  kept: PromiseWithResolvers<void>;
}

/** Of a driver of whom something was written less than `REST_MS` ago. */
interface Rest {
  endsAt: number;
  /** The newest since; null: nothing. */
  waiting: Waiting | null;
}

export function createRedisTelematics(redis: ScriptedRedis, ttlMs: number, log: Logger): TelematicsBoard {
  const writes = createTurnWrites(redis);
  const tried = createOutage(log, 'telematics not kept; the next heartbeat brings them');
  /** All rest equally long: whose rest ends first stands first, and one timer is enough. */
  const resting = new Map<string, Rest>();
  let timer: NodeJS.Timeout | null = null;

  function write(driverId: string, text: string): Promise<void> {
    resting.set(driverId, { endsAt: performance.now() + REST_MS, waiting: null });
    if (timer === null) timer = setTimeout(wake, REST_MS).unref();
    return new Promise((resolve, reject) =>
      writes.add(['set', keyOf(driverId), text, 'PX', ttlMs], ([error]) => {
        tried(error);
        if (error) reject(redisAway(error));
        else resolve();
      }),
    );
  }

  function wake(): void {
    const now = performance.now();
    const rested: [driverId: string, waiting: Waiting | null][] = [];
    timer = null;
    for (const [driverId, { endsAt, waiting }] of resting) {
      if (endsAt > now) {
        timer = setTimeout(wake, endsAt - now).unref();
        break;
      }
      resting.delete(driverId);
      rested.push([driverId, waiting]);
    }
    for (const [driverId, waiting] of rested)
      if (waiting) write(driverId, waiting.text).then(waiting.kept.resolve, waiting.kept.reject);
  }

  return {
    keep(driverId, { batteryRatio, signalDbm, inBackground, appVersion, at }) {
      const stored: Stored = {
        battery: batteryRatio,
        signal: signalDbm,
        background: inBackground,
        appVersion,
        timestamp: at,
      };
      const text = JSON.stringify(stored);
      const rest = resting.get(driverId);
      if (!rest) return write(driverId, text);
      rest.waiting?.kept.resolve();
      const kept = Promise.withResolvers<void>();
      rest.waiting = { text, kept };
      return kept.promise;
    },

    async of(driverId) {
      const text = await orAway(redis.get(keyOf(driverId)));
      if (text === null) return null;
      const { battery, signal, background, appVersion, timestamp } = JSON.parse(text) as Stored;
      const said: Telematics = { at: timestamp };
      if (battery !== undefined) said.batteryRatio = battery;
      if (signal !== undefined) said.signalDbm = signal;
      if (background !== undefined) said.inBackground = background;
      if (appVersion !== undefined) said.appVersion = appVersion;
      return said;
    },
  };
}
