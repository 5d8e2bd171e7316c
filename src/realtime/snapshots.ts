/**
 * What a session is given besides the messages of a topic: the newest value, when it begins to follow (where the driver of a trip
 * is, whether a user is online), and the state of the trip, when messages that it missed are no longer kept.
 */
import type { OutboundMessages } from '../ports/publisher.ts';
import { encodeEnvelope } from './envelope.ts';
import { Frame } from './frame.ts';
import type { Lamport } from './lamport.ts';
import type { Services } from './messages/definition.ts';
import { serverMessages } from './messages/index.ts';
import type { ServerPayload } from './payload.ts';
import { tripOf } from './topics.ts';

export interface SnapshotOptions extends Encoding {
  locations: Pick<Services['locations'], 'ofTrip'>;
  presence: Pick<Services['presence'], 'of'>;
  trips: Pick<Services['trips'], 'lastEvent'>;
}

interface Encoding {
  lamport: Lamport;
  nodeId: string;
}

/** Finished envelopes of presence, for whoever tells it in the step that makes it true. */
export function createPresenceEncoder({ lamport, nodeId }: Encoding) {
  return (state: OutboundMessages['presence']): Buffer => {
    const topic = `${PRESENCE}${state.userId}`;
    const header = { lamport: lamport.tick(), nodeId, sequence: lamport.count(), topic, sentAtMs: Date.now() };
    return encodeEnvelope(header, serverMessages.presence.toWire(state));
  };
}

export interface Snapshots {
  /** Null for a topic that has no newest value; a promise of null when there is none yet. @throws RideError RIDE_UNAVAILABLE */
  newest(topic: string): Promise<Frame | null> | null;
  /** How things stand now, for whoever missed something; null as `newest` says. @throws RideError RIDE_UNAVAILABLE */
  state(topic: string): Promise<Frame | null> | null;
}

const PRESENCE = 'presence:';

export function createSnapshots({ locations, presence, trips, lamport, nodeId }: SnapshotOptions): Snapshots {
  function frame(topic: string, kind: 'location' | 'presence' | 'trip_event', payload: ServerPayload, eventId = '') {
    const header = { lamport: lamport.tick(), nodeId, sequence: lamport.count(), eventId, topic, sentAtMs: Date.now() };
    return new Frame(encodeEnvelope(header, payload), kind, topic);
  }

  async function driverOf(topic: string, tripId: string): Promise<Frame | null> {
    const found = await locations.ofTrip(tripId);
    if (!found) return null;
    const { ageMs, stale, staleReason, ...position } = found;
    return frame(topic, 'location', serverMessages.location.toWire({ position, ageMs, stale, staleReason }));
  }

  async function ofUser(topic: string): Promise<Frame> {
    const { userId, online, lastSeenMs } = await presence.of(topic.slice(PRESENCE.length));
    return frame(topic, 'presence', serverMessages.presence.toWire({ userId, online, lastSeenMs: lastSeenMs ?? 0 }));
  }

  /** Under the id of the event, so that who knows it drops it; without an offset, which only what is kept has. */
  async function stateOf(topic: string, tripId: string): Promise<Frame | null> {
    const last = await trips.lastEvent(tripId);
    return last && frame(topic, 'trip_event', serverMessages.trip_event.toWire(last), last.event.id);
  }

  return {
    newest(topic) {
      const tripId = tripOf(topic);
      if (tripId !== null) return driverOf(topic, tripId);
      return topic.startsWith(PRESENCE) ? ofUser(topic) : null;
    },
    state(topic) {
      const tripId = tripOf(topic);
      return tripId === null ? null : stateOf(topic, tripId);
    },
  };
}
