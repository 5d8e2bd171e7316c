/** Estimates of ways, and what finished trips say of them, put together over the ports. */
import type { Collection } from '../../ports/store.ts';
import type { DomainSettings, Ports } from '../parts.ts';
import { createAccuracy } from './accuracy.ts';
import { createRouting, STRAIGHT_LINE } from './service.ts';
import { createTraffic, type TrafficRecord } from './traffic.ts';

export function createEstimates(
  { routingEngine: engine, routingMeter: meter, clock, ids, log }: Ports,
  { travel, routing: settings }: DomainSettings,
  records: Collection<TrafficRecord>,
) {
  const traffic = createTraffic({
    records,
    clock,
    region: ids.region,
    halfLifeMs: settings.trafficHalfLifeMs,
    // How fast a straight line is driven is a setting of its own.
    prior: (source) => (source === STRAIGHT_LINE ? 1 : settings.trafficFactor),
    log,
  });
  return {
    routing: createRouting({ engine, traffic, travel, clock, meter, log, matrixMax: settings.matrixMax }),
    accuracy: createAccuracy({ traffic, travel, meter }),
  };
}
