/** Presence on the REST wire. */
import { Type } from 'typebox';
import type { PresenceState } from '../../ports/presences.ts';
import { after, DRIVER_ID } from '../examples.ts';
import { EpochMs } from '../schemas.ts';

export const PresenceSchema = Type.Object(
  {
    user_id: Type.String(),
    online: Type.Boolean({ description: 'connected now, by any device, to any node' }),
    last_seen_ms: Type.Optional({
      ...EpochMs,
      description: 'when the user was last connected, epoch ms; missing for one who never was, or long ago',
    }),
  },
  {
    title: 'Presence',
    description: 'Whether a user is connected',
    examples: [{ user_id: DRIVER_ID, online: true, last_seen_ms: after(9) }],
  },
);

export const toPresenceWire = ({ userId, online, lastSeenMs }: PresenceState) => ({
  user_id: userId,
  online,
  ...(lastSeenMs === null ? {} : { last_seen_ms: lastSeenMs }),
});
