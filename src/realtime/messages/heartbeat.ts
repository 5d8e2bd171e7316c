/** Liveness: the client sends, the server answers. Costs no tokens; any other message counts as one too. */
import { defineClientMessage, everyone } from './definition.ts';

export const heartbeat = defineClientMessage({
  kind: 'heartbeat',
  case: 'heartbeat',
  roles: everyone,
  rate: 'none',
  doc: 'Sent every heartbeat_interval_ms of the welcome; the ack carries the server’s time.',
  example: { client_time_ms: '1421322000000', battery_ratio: 0.8 },
  handle: async () => ({}),
});
