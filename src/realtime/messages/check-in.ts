import { defineServerMessage } from './definition.ts';
import { trustOf } from './position.ts';

export const checkIn = defineServerMessage({
  kind: 'check_in',
  delivery: 'ordered',
  topics: ['user', 'city'],
  doc: 'A ride may be in trouble: its rider is asked whether all is well, its driver and the operators are told. Unanswered it becomes an SOS.',
  example: {
    tripId: 'trip_nyc_01jd0000000000000000000003',
    round: 1,
    type: 'asked',
    status: 'asked',
    hazards: ['long_stop'],
    hazard: 'long_stop',
    reason: '',
    deadline: 1421322660000,
    place: {
      lat: 40.7484,
      lng: -73.9857,
      recordedAt: 1421322599000,
      accuracyM: 5,
      source: 'stream',
      ageMs: 1050,
      stale: false,
    },
    riderId: 'rider-1',
    driverId: 'driver-1',
    at: 1421322600000,
  },
  toWire: ({ deadline, place, at, ...same }) => ({
    case: 'checkIn',
    value: {
      ...same,
      deadlineMs: deadline,
      position: place ? { lat: place.lat, lng: place.lng } : undefined,
      positionRecordedAtMs: place?.recordedAt ?? 0,
      ...trustOf(place),
      atMs: at,
    },
  }),
});
