/** The rider, or the driver, says whether all is well. */
import { invalidInput } from '../../errors.ts';
import { defineClientMessage } from './definition.ts';

export const checkInReply = defineClientMessage({
  kind: 'check_in_reply',
  case: 'checkInReply',
  roles: ['rider', 'driver'],
  // Who needs help and may not say it here has sos_trigger, which is never limited.
  rate: 'general',
  doc: 'Answers a check-in. With is_safe false it becomes an SOS at once, also when nothing was asked since.',
  example: { trip_id: 'trip_nyc_01jd0000000000000000000000', round: 1, is_safe: true },
  async handle(session, { tripId, round, isSafe }, { checkIns }) {
    if (tripId === '') throw invalidInput('trip_id', 'the id of the trip that was asked about');
    await checkIns.answer(session.principal, tripId, round, isSafe);
    return { id: tripId };
  },
});
