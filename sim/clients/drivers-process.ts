/** A process of drivers, each with a gRPC stream of its own. Started by the parent (demo.ts). */
import { createPlaces } from '../city/generate.ts';
import { distanceM, type Point } from '../geo.ts';
import type { Trip } from '../trips-csv.ts';
import { Driver, type Fleet } from './driver.ts';
import { GrpcChannels } from './grpc-link.ts';
import { serveParent } from './process.ts';

/** Sign-ins at once; all of a big fleet at once would only queue up at the server. */
const STARTING = 16;

const between = (pickup: Point, dropoff: Point) => `${pickup.lat},${pickup.lng},${dropoff.lat},${dropoff.lng}`;

serveParent((world, settings) => {
  const durations = new Map<string, number>();
  const channels = new GrpcChannels(settings.count);
  const fleet: Fleet = {
    ...world,
    channels,
    places: createPlaces(world.city),
    declineShare: settings.declineShare,
    ignoreShare: settings.ignoreShare,
    durationS(pickup, dropoff) {
      const known = durations.get(between(pickup, dropoff));
      if (known !== undefined) return known;
      // Somebody else's trip, asked for while the replay runs.
      world.stats.add('unknownDurations');
      return (distanceM(pickup, dropoff) * world.city.figures.detour) / world.city.speedMps(world.clock.now());
    },
  };
  const drivers = Array.from({ length: settings.count }, (_, i) => new Driver(settings.first + i, fleet));
  return {
    async run(trips: Trip[]) {
      for (const { pickup, dropoff, durationS } of trips) durations.set(between(pickup, dropoff), durationS);
      const waiting = [...drivers];
      const startNext = async () => {
        for (let driver = waiting.shift(); driver; driver = waiting.shift()) await driver.start();
      };
      await Promise.all(Array.from({ length: STARTING }, startNext));
    },
    stop() {
      for (const driver of drivers) driver.stop();
      channels.close();
    },
  };
});
