/** Liveness: the client sends, the server answers or has spoken lately. Costs no tokens; any other message counts as one too. */
import { defineClientMessage, everyone } from './definition.ts';

export const heartbeat = defineClientMessage({
  kind: 'heartbeat',
  case: 'heartbeat',
  roles: everyone,
  rate: 'none',
  isSignOfLife: true,
  doc: 'Sent every heartbeat_interval_ms of the welcome; the ack carries the server’s time. Without a corr_id it is acked only when nothing else was sent since the last one.',
  example: { client_time_ms: '1421322000000', battery_ratio: 0.8 },
  handle: async () => ({}),
});
