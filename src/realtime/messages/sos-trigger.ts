/** SOS: acknowledged once it is stored, whatever else is going on. Never limited. */
import { invalidInput } from '../../errors.ts';
import { defineClientMessage, everyone } from './definition.ts';

export const sosTrigger = defineClientMessage({
  kind: 'sos_trigger',
  case: 'sosTrigger',
  roles: everyone,
  rate: 'none',
  doc: 'Raises an alert; repeats fold into the one that is open. The ack carries the alert id.',
  example: {
    trip_id: 'trip_nyc_01jd0000000000000000000000',
    lat: 40.7484,
    lng: -73.9857,
    note: 'help',
    accuracy_m: 12,
    recorded_at_ms: '1421322599100',
  },
  async handle(session, { tripId, lat, lng, note, accuracyM, recordedAtMs }, { sos }) {
    if ((lat === undefined) !== (lng === undefined))
      throw invalidInput(lat === undefined ? 'lat' : 'lng', 'given together with the other coordinate');
    const recordedAt = Number(recordedAtMs) || undefined;
    const position =
      lat === undefined || lng === undefined ? null : { lat, lng, recordedAt, accuracyM, source: 'stream' };
    return { id: await sos.trigger(session.principal, { tripId, position, note }) };
  },
});
