/** What a driver's device said of itself, on the REST wire. */
import { type Static, Type } from 'typebox';
import { after } from '../examples.ts';
import { EpochMs } from '../schemas.ts';
import { type Telematics, telematicsLimits } from './rules.ts';

const within = (r: { min: number; max: number }) => ({ minimum: r.min, maximum: r.max });

export const telematicsExample = {
  battery_ratio: 0.06,
  signal_dbm: -104,
  in_background: false,
  said_at: after(5),
  age_ms: 99_000,
};

export const TelematicsSchema = Type.Object(
  {
    battery_ratio: Type.Optional(
      Type.Number({ ...within(telematicsLimits.batteryRatio), description: '0 empty, 1 full' }),
    ),
    signal_dbm: Type.Optional(
      Type.Integer({ ...within(telematicsLimits.signalDbm), description: 'strength of the radio signal' }),
    ),
    in_background: Type.Optional(Type.Boolean({ description: 'the app is not on the screen' })),
    app_version: Type.Optional(Type.String({ maxLength: telematicsLimits.appVersionLength })),
    said_at: EpochMs,
    age_ms: Type.Integer({ minimum: 0 }),
  },
  {
    title: 'Telematics',
    description: 'What the device of a driver said of itself last, by a heartbeat',
    examples: [telematicsExample],
  },
);

export const toTelematicsWire = (t: Telematics, now: number): Static<typeof TelematicsSchema> => ({
  battery_ratio: t.batteryRatio,
  signal_dbm: t.signalDbm,
  in_background: t.inBackground,
  app_version: t.appVersion,
  said_at: t.at,
  age_ms: Math.max(0, now - t.at),
});
