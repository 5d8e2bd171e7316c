/** What arrived, held against what was published: the notes that Redis took, the store's story of each trip, the acknowledged chat. */
import type { Books } from '../clients/books.ts';
import type { Message } from '../clients/inbox.ts';
import type { PatientRest } from '../clients/patient-rest.ts';
import { until } from '../until.ts';
import type { Crowd, Member, TripTruth } from './crowd.ts';

const ARRIVAL_LIMIT_MS = 60_000;

/** One client and one topic: what is due to it, by kind. */
interface Account {
  who: string;
  topic: string;
  books: Books;
  /** What it read by REST after it was told that something is gone. */
  read: ReadonlySet<string>;
  /** In this order. */
  events: string[];
  /** In any order: what had to wait may stand behind what was said after it. */
  said: ReadonlySet<string>;
  eventIdOf(message: Message): string | undefined;
}

export interface Verdict {
  /** Ordered messages that were published. */
  messages: number;
  /** Their first arrivals, over all clients. */
  deliveries: number;
  repeats: number;
  /** Due, not there, and nobody said so. */
  lost: string[];
  reordered: string[];
  /** Times that a client was told `recovered: false`. */
  told: number;
  /** Due and not on the stream, but the client was told: in the resource that it then read, or with no resource to read. */
  readAgain: number;
  notKept: number;
}

const saidId = ({ chat_message: chat }: Message): string | undefined => chat && `${chat.sender_id} ${chat.message_id}`;
/** Of the notes that the crowd publishes; the server's own receipts are none of them. */
const noteId = ({ notification }: Message): string | undefined =>
  notification?.id.endsWith('.receipt') ? undefined : notification?.id;
const tripEventId = ({ trip_event, event_id }: Message): string | undefined => trip_event && event_id;

const NOBODY: ReadonlySet<string> = new Set();

function ownAccount({ id, roamer: { books }, notes }: Member): Account {
  return { who: id, topic: `user:${id}`, books, read: NOBODY, events: notes, said: NOBODY, eventIdOf: noteId };
}

async function tripAccounts(rest: PatientRest, trip: TripTruth): Promise<Account[]> {
  const [{ token }] = trip.followers as [Member];
  const { body } = await rest('GET', `/api/v1/trips/${trip.id}/events`, token);
  const stored: { id: string; seq: number }[] = body.items;
  const topic = `trip:${trip.id}`;
  const events = stored.map(({ id }) => id);
  const idOf = new Map(stored.map(({ id, seq }) => [Number(seq), id]));
  const rider = trip.followers[0]!;
  return [
    ...trip.followers.map(({ id, roamer: { books }, read }) => {
      return {
        who: id,
        topic,
        books,
        read: read.get(trip.id) ?? NOBODY,
        events,
        said: trip.said,
        eventIdOf: tripEventId,
      };
    }),
    ...trip.listeners.map(({ books }) => ({
      who: `${rider.id} by events`,
      topic,
      books,
      read: rider.read.get(trip.id) ?? NOBODY,
      events,
      said: trip.said,
      eventIdOf: ({ trip_event }: Message) => trip_event && idOf.get(Number(trip_event.seq)),
    })),
  ];
}

const present = (ids: (string | undefined)[]): string[] => ids.filter((id) => id !== undefined);

/** What is due and has not arrived, apart from what the client was told of. */
function missing({ topic, books, events, said, eventIdOf }: Account): string[] {
  const taken = books.taken.get(topic) ?? [];
  const got = new Set(present([...taken.map(eventIdOf), ...taken.map(saidId)]));
  return [...events, ...said].filter((id) => !got.has(id));
}

const isTold = ({ books, topic }: Account): boolean => books.gaps.includes(topic);

function outOfOrder({ who, topic, books, events, eventIdOf }: Account): string[] {
  const rank = new Map(events.map((id, index) => [id, index]));
  const got = present((books.taken.get(topic) ?? []).map(eventIdOf)).map((id) => rank.get(id) ?? Number.NaN);
  return got.flatMap((index, i) => (i === 0 || index > got[i - 1]! ? [] : [`${who} ${topic}: ${events[index]}`]));
}

/** Waits until everything has arrived, or does not any more; call it when nothing more is published. */
export async function judge(crowd: Crowd, rest: PatientRest): Promise<Verdict> {
  const trips = [...crowd.trips.values()];
  const accounts = crowd.members.map(ownAccount);
  for (const trip of trips) accounts.push(...(await tripAccounts(rest, trip)));
  const isSettled = (account: Account): boolean => isTold(account) || missing(account).length === 0;
  // Whatever has not come by then is counted below.
  await until(() => accounts.every(isSettled), 'everything to arrive', ARRIVAL_LIMIT_MS).catch(() => {});

  const all = [...new Set(accounts.map(({ books }) => books))];
  const sum = (of: (books: Books) => number): number => all.reduce((total, books) => total + of(books), 0);
  const verdict: Verdict = {
    messages: accounts.slice(0, crowd.members.length).reduce((total, { events }) => total + events.length, 0),
    deliveries: sum((books) => books.delaysMs.length),
    repeats: sum(({ repeats }) => repeats),
    lost: all.flatMap(({ holes }) => holes),
    reordered: all.flatMap(({ late }) => late),
    told: sum(({ gaps }) => gaps.length),
    readAgain: 0,
    notKept: 0,
  };
  for (const account of accounts) {
    verdict.reordered.push(...outOfOrder(account));
    for (const id of missing(account)) {
      if (account.read.has(id)) verdict.readAgain++;
      // Of notes and chat there is nothing to read; of a trip everything.
      else if (isTold(account) && (account.said.has(id) || account.topic.startsWith('user:'))) verdict.notKept++;
      else verdict.lost.push(`${account.who} ${account.topic}: ${id}`);
    }
  }
  for (const trip of trips) {
    const account = accounts.find(({ topic }) => topic === `trip:${trip.id}`)!;
    verdict.messages += account.events.length + trip.said.size;
  }
  return verdict;
}
