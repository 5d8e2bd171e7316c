/** Writes down for one person what the ledger wants to know, in the ledger's words. */
import type { Ledger } from '../ledger.ts';
import { type Envelope, num, type PayloadName, str } from './link.ts';
import type { Stats } from './stats.ts';

export class Witness {
  private readonly user: string;
  private readonly role: 'rider' | 'driver';
  private readonly ledger: Ledger;
  private readonly stats: Stats;

  constructor(user: string, role: 'rider' | 'driver', to: { ledger: Ledger; stats: Stats }) {
    this.user = user;
    this.role = role;
    this.ledger = to.ledger;
    this.stats = to.stats;
  }

  /** An ordered message as it came. */
  raw(name: PayloadName, payload: Record<string, unknown>, envelope: Envelope): void {
    const id = str(envelope.event_id);
    if (name === 'job_offer') {
      this.ledger.write({
        k: 'offer',
        driver: this.user,
        offer: str(payload.offer_id),
        trip: str(payload.trip_id),
        id,
      });
    } else if (name === 'trip_event') {
      const place = { topic: str(envelope.topic), id, offset: num(envelope.offset), epoch: str(envelope.epoch) };
      const event = { trip: str(payload.trip_id), seq: num(payload.seq), type: str(payload.type) };
      this.ledger.write({ k: 'event', user: this.user, role: this.role, ...place, ...event });
    }
  }

  connected(server: string, connects: number): void {
    this.ledger.write({ k: 'connected', user: this.user, server });
    this.stats.add(`${this.role}sOnline`);
    if (connects > 1) this.stats.add('reconnects');
  }

  disconnected(): void {
    this.stats.add(`${this.role}sOnline`, -1);
  }

  subscribed(s: Record<string, unknown>): void {
    const at = {
      recovered: s.recovered === true,
      offset: num(s.offset),
      epoch: str(s.epoch),
      replayed: num(s.replayed),
    };
    this.ledger.write({ k: 'subscribed', user: this.user, topic: str(s.topic), ...at });
  }

  /** Something out of the ordinary, for whoever reads the ledger. */
  note(text: string, trip = ''): void {
    this.stats.add('notes');
    this.ledger.write({ k: 'note', user: this.user, trip, text });
  }
}
