/** Typing indicator; told to whoever follows the trip or booking now, never remembered. */
import { defineClientMessage, everyone } from './definition.ts';

export const typing = defineClientMessage({
  kind: 'typing',
  case: 'typing',
  roles: everyone,
  rate: 'chat',
  doc: 'The sender began or stopped typing.',
  example: { trip_id: 'trip_nyc_01jd0000000000000000000000', active: true },
  async handle(session, { tripId, bookingId, active }, { chat }) {
    await chat.typing(session.principal, { tripId, bookingId }, active);
    return {};
  },
});
