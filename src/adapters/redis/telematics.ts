/** `porter:telematics:{porterId}`: the newest that a driver's device said of itself, as JSON, for as long as his position lives. */
import type { Telematics } from '../../domain/telematics/rules.ts';
import type { TelematicsBoard } from '../../ports/telematics.ts';
import { orAway, redisAway } from './connection.ts';
import type { ScriptedRedis } from './scripts.ts';
import { createTurnWrites } from './turn-writes.ts';

const keyOf = (driverId: string): string => `porter:telematics:${driverId}`;

interface Stored {
  battery?: number;
  signal?: number;
  background?: boolean;
  appVersion?: string;
  timestamp: number;
}

export function createRedisTelematics(redis: ScriptedRedis, ttlMs: number): TelematicsBoard {
  const writes = createTurnWrites(redis);
  return {
    keep(driverId, { batteryRatio, signalDbm, inBackground, appVersion, at }) {
      const stored: Stored = {
        battery: batteryRatio,
        signal: signalDbm,
        background: inBackground,
        appVersion,
        timestamp: at,
      };
      return new Promise((resolve, reject) =>
        writes.add(['set', keyOf(driverId), JSON.stringify(stored), 'PX', ttlMs], ([error]) =>
          error ? reject(redisAway(error)) : resolve(),
        ),
      );
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
