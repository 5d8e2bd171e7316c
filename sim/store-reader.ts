/** Reads the whole truth of the store through the admin REST: every trip, and every trip's history. */
import type { StoreEvent, StoreHistory, StoreTrip } from './check/types.ts';
import type { RestClient } from './clients/rest.ts';

const PAGE_SIZE = 500;
const AT_ONCE = 16;

/** Throws when a page or a history cannot be read: a check of half the truth would be worth nothing. */
export async function readStore(rest: RestClient): Promise<StoreHistory> {
  const { token } = await rest.signIn('admin', 'replay-check');
  const trips: StoreTrip[] = [];
  let pageToken = '';
  do {
    const query = new URLSearchParams({ order: 'asc', page_size: String(PAGE_SIZE) });
    if (pageToken) query.set('page_token', pageToken);
    const page = await rest.call({ method: 'GET', path: `/api/v1/trips?${query}`, token });
    trips.push(...(page.items as StoreTrip[]));
    pageToken = String(page.next_page_token ?? '');
  } while (pageToken);

  const events = new Map<string, StoreEvent[]>();
  let next = 0;
  const readSome = async () => {
    while (next < trips.length) {
      const { id } = trips[next++]!;
      const answer = await rest.call({ method: 'GET', path: `/api/v1/trips/${id}/events`, token });
      events.set(id, answer.items as StoreEvent[]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, readSome));
  return { trips, events };
}
