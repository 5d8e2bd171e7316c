/** From which place of a topic on whoever read a resource misses nothing that happens to it. */
import type { FastifyReply } from 'fastify';

/** Where a topic is. @throws RideError RIDE_UNAVAILABLE */
export type TopicPosition = (topic: string) => Promise<{ epoch: string; offset: number }>;

/**
 * Reads a resource, and tells by `Topic-Position` where its topic was before that: told only to who may read it, and left out while Redis
 * is away, for the resource itself is read without it.
 */
export async function readAt<T>(
  reply: FastifyReply,
  position: TopicPosition,
  topic: string,
  read: () => Promise<T>,
): Promise<T> {
  const at = await position(topic).catch((error: unknown) => {
    reply.log.debug({ err: error, topic }, 'position of the topic not told');
    return null;
  });
  const resource = await read();
  if (at) reply.header('topic-position', `${at.epoch}:${at.offset}`);
  return resource;
}
