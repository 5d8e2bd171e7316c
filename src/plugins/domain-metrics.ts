/** Trips, bookings and the work around them as Prometheus reads them: what happens to them, what was mended, what was asked again. */
import { Counter, type Registry } from 'prom-client';
import type { DomainMeter } from '../ports/domain-meter.ts';

export function createDomainMeter(registry: Registry): DomainMeter {
  const registers = [registry];
  const counter = (name: string, help: string, ...labelNames: string[]) =>
    new Counter({ name, help, labelNames, registers });
  const trips = counter(
    'ride_trip_events_total',
    'Events of rides, deliveries and scheduled departures, as they were written',
    'kind',
    'event',
  );
  const bookings = counter('ride_booking_events_total', 'What happened to bookings of seats', 'event');
  const mended = counter('ride_sweep_mended_total', 'What the sweeper found left behind, and saw to', 'what');
  const repeats = counter(
    'ride_idempotent_repeats_total',
    'Requests answered with what an earlier one with their Idempotency-Key had made',
  );
  return {
    trip: (kind, event) => trips.inc({ kind, event }),
    departure: (event) => trips.inc({ kind: 'scheduled', event }),
    booking: (event) => bookings.inc({ event }),
    mended(what, count) {
      if (count > 0) mended.inc({ what }, count);
    },
    repeated: () => repeats.inc(),
  };
}
