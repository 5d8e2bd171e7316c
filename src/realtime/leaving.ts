/** Every message that can leave for other systems: those of the streams, and those that nobody follows there. */
import { DRIVER_ID, TRIP_ID } from '../domain/examples.ts';
import type { LeavingKind, LeavingMessages } from '../ports/event-sink.ts';
import type { DomainEventPayload } from './generated/server-envelope.ts';
import { serverMessages } from './messages/index.ts';

type Leaving = {
  readonly [K in LeavingKind]: {
    example: LeavingMessages[K];
    toWire(message: LeavingMessages[K]): DomainEventPayload;
  };
};

// Every kind that leaves is a payload of DomainEvent; a test holds the two together.
export const leavingMessages = {
  ...serverMessages,
  driver_changed: {
    example: {
      driverId: DRIVER_ID,
      availability: 'on_trip',
      status: 'looking',
      activeTripId: TRIP_ID,
      city: 'nyc',
      vehicleClass: 'standard',
      at: 1421322009000,
    },
    toWire: ({ activeTripId, at, ...same }: LeavingMessages['driver_changed']) => ({
      case: 'driverChanged',
      value: { ...same, activeTripId: activeTripId ?? '', atMs: at },
    }),
  },
} as unknown as Leaving;
