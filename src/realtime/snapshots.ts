/** The newest value of a topic, for whoever begins to follow it: where the driver of a trip is, whether a user is online. */
import type { OutboundMessages } from '../ports/publisher.ts';
import { encodeEnvelope } from './envelope.ts';
import { Frame } from './frame.ts';
import type { Lamport } from './lamport.ts';
import type { Services } from './messages/definition.ts';
import { serverMessages } from './messages/index.ts';
import type { ServerPayload } from './payload.ts';

export interface SnapshotOptions extends Encoding {
  locations: Pick<Services['locations'], 'ofTrip'>;
  presence: Pick<Services['presence'], 'of'>;
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

/** Null for a topic that has no newest value; a promise of null when there is none yet. */
export type Snapshots = (topic: string) => Promise<Frame | null> | null;

const TRIP = 'trip:';
const PRESENCE = 'presence:';

export function createSnapshots({ locations, presence, lamport, nodeId }: SnapshotOptions): Snapshots {
  function frame(topic: string, kind: 'location' | 'presence', payload: ServerPayload): Frame {
    const header = { lamport: lamport.tick(), nodeId, sequence: lamport.count(), topic, sentAtMs: Date.now() };
    return new Frame(encodeEnvelope(header, payload), kind, topic);
  }

  async function ofTrip(topic: string): Promise<Frame | null> {
    const found = await locations.ofTrip(topic.slice(TRIP.length));
    if (!found) return null;
    const { ageMs, stale, ...position } = found;
    return frame(topic, 'location', serverMessages.location.toWire({ position, ageMs, stale }));
  }

  async function ofUser(topic: string): Promise<Frame> {
    const { userId, online, lastSeenMs } = await presence.of(topic.slice(PRESENCE.length));
    return frame(topic, 'presence', serverMessages.presence.toWire({ userId, online, lastSeenMs: lastSeenMs ?? 0 }));
  }

  return (topic) => {
    if (topic.startsWith(TRIP)) return ofTrip(topic);
    return topic.startsWith(PRESENCE) ? ofUser(topic) : null;
  };
}
