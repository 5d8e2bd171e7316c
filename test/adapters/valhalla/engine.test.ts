/** The Valhalla adapter keeps the routing port's promises on a real Valhalla. */
import t from 'tap';
import { createValhallaEngine } from '../../../src/adapters/valhalla/engine.ts';
import { routingConformance } from '../../conformance/routing.ts';
import { startValhalla } from '../../servers/valhalla.ts';
import { onEngine } from '../routing/engines.ts';

await onEngine(
  t,
  startValhalla,
  (options) => createValhallaEngine({ ...options, costing: 'auto' }),
  (t, place) => routingConformance(t, 'Valhalla', place),
);
