/** Who follows a topic, over all nodes, page by page: one node is asked at a time, and nothing is written down for it. */
import { invalidInput } from '../errors.ts';
import type { DirectoryEntry, SessionDirectory } from '../ports/session-directory.ts';
import type { Broker } from './broker.ts';
import type { NodeCalls } from './node-calls.ts';
import type { Session } from './session.ts';
import { canonicalTopic } from './topics.ts';

/** A session that follows the topic. */
export type Member = Omit<DirectoryEntry, 'expiresAt' | 'tokenHash' | 'tripIds'>;

export interface MemberPage {
  items: Member[];
  nextPageToken?: string;
}

export interface MembersAsked {
  topic: string;
  /** Session id after which to begin. */
  after: string;
  limit: number;
}

/** The first `limit` subscribers by session id after `after`, of this node. */
export function localMembers(broker: Broker, nodeId: string, { topic, after, limit }: MembersAsked): Member[] {
  let found: Session[] = [];
  const byId = (a: Session, b: Session): number => (a.id < b.id ? -1 : 1);
  for (const session of broker.followersOf(topic)) {
    if (session.id <= after) continue;
    found.push(session);
    // Never more than two pages at hand, however many follow.
    if (found.length >= 2 * limit) found = found.sort(byId).slice(0, limit);
  }
  return found
    .sort(byId)
    .slice(0, limit)
    .map(({ id, principal, namespace, connectedAt }) => ({
      sessionId: id,
      userId: principal.userId,
      role: principal.role,
      namespace,
      nodeId,
      connectedAt,
    }));
}

interface Cursor {
  node: string;
  after: string;
}

const encodeCursor = (cursor: Cursor): string => Buffer.from(JSON.stringify(cursor)).toString('base64url');

function decodeCursor(token: string): Cursor {
  try {
    const cursor = JSON.parse(Buffer.from(token, 'base64url').toString()) as Partial<Cursor>;
    if (typeof cursor.node === 'string' && typeof cursor.after === 'string') return cursor as Cursor;
  } catch {
    // Falls through to the refusal.
  }
  throw invalidInput('page_token', 'the next_page_token of an earlier page');
}

export interface MembersOptions {
  nodeId: string;
  directory: Pick<SessionDirectory, 'cluster'>;
  calls: NodeCalls;
}

/** @throws RideError RIDE_INVALID_INPUT for a page token that is none, RIDE_UNAVAILABLE */
export function createMembers({ nodeId, directory, calls }: MembersOptions) {
  return async (name: string, pageSize: number, pageToken?: string): Promise<MemberPage> => {
    const cursor = pageToken === undefined ? { node: '', after: '' } : decodeCursor(pageToken);
    const topic = canonicalTopic(name);
    const nodes = new Set((await directory.cluster()).map((node) => node.nodeId)).add(nodeId);
    const items: Member[] = [];
    // In the order of their names, so that a page goes on where the last one ended whichever nodes came or went.
    for (const node of [...nodes].sort().filter((one) => one >= cursor.node)) {
      const after = node === cursor.node ? cursor.after : '';
      const limit = pageSize - items.length;
      // One that does not answer is dying: its sessions are on their way to others.
      const members =
        (await calls.ask<Member[]>(node, 'members', { topic, after, limit } satisfies MembersAsked)) ?? [];
      items.push(...members);
      if (items.length === pageSize) {
        return { items, nextPageToken: encodeCursor({ node, after: items.at(-1)!.sessionId }) };
      }
    }
    return { items };
  };
}
