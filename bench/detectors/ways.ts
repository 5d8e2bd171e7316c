/** Deviation where a road engine knows the way, as the watch does it: off the line, and no other good way from here. */
import { distanceM, type LatLng } from '../../src/domain/geo.ts';
import { quiet } from '../../src/domain/hysteresis.ts';
import { freshSafety, isOtherWay, observe, type SafetyLimits } from '../../src/domain/safety/rules.ts';
import type { Fix } from '../../src/domain/tracks/rules.ts';
import type { RoadLine, RoutingEngine } from '../../src/ports/routing.ts';

export type LineTo = (from: LatLng, to: LatLng) => Promise<RoadLine | null>;

/** The same question is asked once, whatever the thresholds. */
export function rememberedLines(engine: RoutingEngine): LineTo & { asked(): number } {
  const known = new Map<string, Promise<RoadLine | null>>();
  const lineTo = (from: LatLng, to: LatLng): Promise<RoadLine | null> => {
    const key = [from.lat, from.lng, to.lat, to.lng].join();
    const line = known.get(key) ?? engine.lineTo(from, to);
    known.set(key, line);
    return line;
  };
  return Object.assign(lineTo, { asked: () => known.size });
}

/** When each alarm came, ms of the ride; `questions` counts those asked besides the one at the start. */
export async function deviations(
  fixes: readonly Fix[],
  target: LatLng,
  limits: SafetyLimits,
  lineTo: LineTo,
): Promise<{ set: number[]; questions: number }> {
  const state = freshSafety();
  let way = await lineTo(fixes[0]!, target);
  const plannedM = way?.distanceM ?? 0;
  let drivenM = 0;
  let questions = 0;
  const set: number[] = [];
  for (const fix of fixes) {
    if (state.last) drivenM += distanceM(state.last, fix);
    for (const { hazard, change, at, place } of observe(state, fix, { target, route: way?.points ?? null }, limits)) {
      if (hazard !== 'route_deviation' || change !== 'set') continue;
      if (way) questions++;
      const other = way && (await lineTo(place, target));
      if (other && isOtherWay(drivenM, other.distanceM, plannedM, limits)) {
        way = other;
        state.signals.route_deviation = quiet();
      } else set.push(at);
    }
  }
  return { set, questions };
}
