/** One open connection to a server, whatever carries it: envelopes out, envelopes in, and one end. */

/** An envelope with the proto's own field names; 64-bit numbers may be strings (protobuf JSON). */
export type Envelope = Record<string, unknown>;

export interface LinkEvents {
  onMessage(envelope: Envelope): void;
  /** Once, when the connection has ended or could not be made. */
  onEnd(reason: string): void;
}

export interface Link {
  send(envelope: Envelope): void;
  /** Ends the connection; `onEnd` is still called. */
  close(): void;
}

const payloadNames = [
  'trip_event',
  'location',
  'ack',
  'eta_refresh',
  'error',
  'welcome',
  'job_offer',
  'offer_closed',
  'match',
  'subscribed',
  'notification',
  'zone_broadcast',
  'go_away',
  'chat_message',
  'presence',
  'sos_alert',
  'typing_notice',
] as const;

export type PayloadName = (typeof payloadNames)[number];

/** Name and content of the envelope's payload; undefined for one that this client does not know. */
export function payloadOf(envelope: Envelope): { name: PayloadName; payload: Record<string, unknown> } | undefined {
  for (const name of payloadNames) {
    const payload = envelope[name];
    if (payload !== undefined && payload !== null) return { name, payload: payload as Record<string, unknown> };
  }
  return undefined;
}

/** A number that may be absent (zero) or a string (64 bits). */
export const num = (value: unknown): number => (value === undefined ? 0 : Number(value));
export const str = (value: unknown): string => (value === undefined ? '' : String(value));
