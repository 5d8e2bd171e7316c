/**
 * Liveness: the client sends, the server answers or has spoken lately. Costs no tokens; any other message counts as one too. What a
 * driver's device says of itself comes with it.
 */
import type { Heartbeat } from '../generated/ride/v1/ride_pb.js';
import { defineClientMessage, everyone, type Reply } from './definition.ts';

const nothing: Promise<Reply> = Promise.resolve({});

const saysMore = ({ batteryRatio, signalDbm, inBackground, appVersion }: Heartbeat): boolean =>
  batteryRatio !== undefined || signalDbm !== undefined || inBackground !== undefined || appVersion !== '';

export const heartbeat = defineClientMessage({
  kind: 'heartbeat',
  case: 'heartbeat',
  roles: everyone,
  rate: 'none',
  isSignOfLife: true,
  saysMore,
  doc: 'Sent every heartbeat_interval_ms of the welcome; the ack carries the server’s time. Without a corr_id it is acked only when nothing else was sent since the last one. What it says of a driver’s device is told with his position once that is stale.',
  example: { client_time_ms: '1421322000000', battery_ratio: 0.8, signal_dbm: -85 },
  handle({ principal }, payload, { telematics }) {
    if (!saysMore(payload)) return nothing;
    const { batteryRatio, signalDbm, inBackground, appVersion } = payload;
    const said = { batteryRatio, signalDbm, inBackground, ...(appVersion === '' ? {} : { appVersion }) };
    telematics.check(said);
    if (principal.role === 'driver') telematics.heard(principal.userId, said);
    return nothing;
  },
});
