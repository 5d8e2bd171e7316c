/**
 * What a driver's device says of itself beside his positions, what it must be to be taken, and what it says about a position that is
 * too old. Pure.
 */
import type { StaleReason, Violation } from '../locations/rules.ts';

/** What one heartbeat said; the next that says anything takes its place as a whole. */
export interface Telematics {
  /** 0 empty, 1 full. */
  batteryRatio?: number;
  signalDbm?: number;
  /** The app is not on the screen. */
  inBackground?: boolean;
  appVersion?: string;
  /** When it was heard, epoch milliseconds (domain time). */
  at: number;
}

export type TelematicsInput = Omit<Telematics, 'at'>;

export const telematicsLimits = {
  batteryRatio: { min: 0, max: 1 },
  signalDbm: { min: -150, max: 0 },
  appVersionLength: 64,
} as const;

/** The first rule that it breaks, or null. */
export function telematicsViolation(input: TelematicsInput): Violation | null {
  const { batteryRatio: battery, signalDbm: signal, appVersionLength } = telematicsLimits;
  const within = (value: number | undefined, { min, max }: { min: number; max: number }): boolean =>
    value === undefined || (value >= min && value <= max); // false for NaN
  if (!within(input.batteryRatio, battery)) return { field: 'battery_ratio', rule: 'a number from 0 to 1' };
  if (!within(input.signalDbm, signal)) return { field: 'signal_dbm', rule: 'a whole number from -150 to 0' };
  if ((input.appVersion?.length ?? 0) > appVersionLength)
    return { field: 'app_version', rule: `at most ${appVersionLength} characters` };
  return null;
}

/** Phones save power from here on, and end soon. */
const BATTERY_LOW = 0.1;
/** What modems report as the least there is (3GPP TS 27.007, +CSQ 0). */
const NO_SIGNAL_DBM = -113;

/**
 * What the device said explains a position that is `recordedAt` and stale only when it was said no longer than `freshnessMs` before it:
 * what was said earlier was over when the position came.
 */
export function staleReasonOf(said: Telematics | null, recordedAt: number, freshnessMs: number): StaleReason {
  if (said === null || said.at < recordedAt - freshnessMs) return 'silent';
  if (said.batteryRatio !== undefined && said.batteryRatio <= BATTERY_LOW) return 'battery_low';
  if (said.signalDbm !== undefined && said.signalDbm <= NO_SIGNAL_DBM) return 'no_signal';
  return said.inBackground ? 'background' : 'silent';
}

/** Whether both say the same, whenever that was. */
export const isSame = (a: TelematicsInput, b: TelematicsInput): boolean =>
  a.batteryRatio === b.batteryRatio &&
  a.signalDbm === b.signalDbm &&
  a.inBackground === b.inBackground &&
  a.appVersion === b.appVersion;
