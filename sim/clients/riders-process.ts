/**
 * A process of riders, each with a WebSocket of its own. Started by the parent (demo.ts). Trips are asked for when they are
 * due; when the server or this machine cannot keep up, the rest of the schedule moves back by as much, so that the city stays
 * the city and does not come all at once, and the delay is reported.
 */
import type { Task } from '../scheduler.ts';
import type { Trip } from '../trips-csv.ts';
import { serveParent } from './process.ts';
import { Rider } from './rider.ts';

/** Requests that may wait for their answer at once; more would only pile up in front of a server that is behind. */
const MAX_ASKING = 8;
/** Being late by less, in wall time, is the nature of timers and moves nothing. */
const TOLERANCE_MS = 250;

serveParent((world, settings) => {
  const { clock, scheduler, stats } = world;
  const riders = { ...world, cancelShare: settings.cancelShare };
  const idle: Rider[] = [];
  const all: Rider[] = [];
  let next = 0;
  let riding = 0;
  let slipMs = 0;
  let timer: Task | undefined;

  const findRider = (): Rider | undefined => {
    const known = idle.pop();
    if (known || all.length >= settings.count) return known;
    const rider = new Rider(settings.first + all.length, riders);
    all.push(rider);
    return rider;
  };

  return {
    run(trips: Trip[]) {
      const finished = Promise.withResolvers<void>();
      let asking = 0;
      const requested = () => {
        asking -= 1;
        release();
      };
      const ride = (rider: Rider, trip: Trip) => {
        riding += 1;
        asking += 1;
        rider
          .take(trip, requested)
          .then(() => {
            riding -= 1;
            idle.push(rider);
            if (next === trips.length && riding === 0) finished.resolve();
            else release();
          })
          .catch(finished.reject);
      };
      const release = () => {
        if (timer) timer.cancelled = true;
        for (; next < trips.length; next += 1) {
          const trip = trips[next]!;
          const dueMs = clock.wallAt(trip.atMs) + slipMs;
          const lateMs = Date.now() - dueMs;
          if (lateMs < 0) {
            timer = scheduler.at(dueMs, release);
            break;
          }
          // Blocked: the end of a request or of a ride calls again.
          if (asking >= MAX_ASKING) break;
          const rider = findRider();
          if (!rider) break;
          if (lateMs > TOLERANCE_MS) slipMs += lateMs;
          stats.most('slipMs', slipMs);
          ride(rider, trip);
        }
        stats.most('mostRiders', all.length);
      };
      if (trips.length === 0) finished.resolve();
      release();
      return finished.promise;
    },
    stop() {
      for (const rider of all) rider.close();
    },
  };
});
