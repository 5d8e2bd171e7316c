/** The fare estimate of a ride: base, distance, time, minimum. Money in minor units of one currency, always whole. */

export interface Tariff {
  currency: string;
  baseMinor: number;
  perKmMinor: number;
  perMinuteMinor: number;
  minimumMinor: number;
}

/** Fare in minor units for a distance in metres and a duration in seconds. */
export function fareMinor(tariff: Tariff, distanceM: number, durationS: number): number {
  const fare = tariff.baseMinor + (tariff.perKmMinor * distanceM) / 1000 + (tariff.perMinuteMinor * durationS) / 60;
  return Math.max(tariff.minimumMinor, Math.round(fare));
}
