/** The OSRM adapter keeps the routing port's promises on a real OSRM. */
import t from 'tap';
import { createOsrmEngine } from '../../../src/adapters/osrm/engine.ts';
import { routingConformance } from '../../conformance/routing.ts';
import { startOsrm } from '../../servers/osrm.ts';
import { onEngine } from '../routing/engines.ts';

await onEngine(
  t,
  startOsrm,
  (options) => createOsrmEngine({ ...options, profile: 'driving' }),
  (t, place) => routingConformance(t, 'OSRM', place),
);
