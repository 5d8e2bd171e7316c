/**
 * Users with an open alert, as this node knows them: their tracks are kept whole. The node that relays an alert is told of it at once; the
 * others, and one that has just begun, read it in the store, which is right whatever was lost on the way.
 */
import type { Collection } from '../../ports/store.ts';
import { pagesOf } from '../pages.ts';
import type { SosDocument } from './schemas.ts';

const PAGE = 200;
/** More open alerts are not known: the newest count. */
const MOST = 2000;

export class Alarmed {
  readonly #alerts: Pick<Collection<SosDocument>, 'page'>;
  /** The open alert of each user. */
  #open = new Map<string, string>();
  /** What was told while the store was read, which may not have seen it. */
  readonly #meanwhile = new Set<(open: Map<string, string>) => void>();
  #reading: Promise<void> | null = null;

  constructor(alerts: Pick<Collection<SosDocument>, 'page'>) {
    this.#alerts = alerts;
  }

  /** Asked with every position. */
  has(userId: string): boolean {
    return this.#open.size > 0 && this.#open.has(userId);
  }

  opened(userId: string, alertId: string): void {
    this.#change((open) => void open.set(userId, alertId));
  }

  closed(userId: string, alertId: string): void {
    this.#change((open) => {
      if (open.get(userId) === alertId) open.delete(userId);
    });
  }

  #change(change: (open: Map<string, string>) => void): void {
    change(this.#open);
    if (this.#reading) this.#meanwhile.add(change);
  }

  /** Learns what other nodes know. @throws RideError RIDE_UNAVAILABLE */
  refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = null;
      this.#meanwhile.clear();
    });
    return this.#reading;
  }

  async #read(): Promise<void> {
    const open = new Map<string, string>();
    const query = { where: { status: 'active' }, pageSize: PAGE } as const;
    for await (const page of pagesOf((token) => this.#alerts.page({ ...query, ...token }))) {
      for (const { id, userId } of page) if (!open.has(userId)) open.set(userId, id);
      if (open.size >= MOST) break;
    }
    for (const change of this.#meanwhile) change(open);
    this.#open = open;
  }
}
