/**
 * What names look like, once: in the claims of a token, in topics and in the REST API. Who breaks such a rule is told it in words,
 * never as a pattern.
 */

export interface NameRule {
  /** Of the whole text; its source is the pattern of a JSON schema too. */
  pattern: RegExp;
  /** Completes the sentence "… must be". */
  rule: string;
}

/**
 * Ids come from whoever signs users in: whatever can stand in a topic and a header. Braces cannot: Redis Cluster reads them as the
 * part of a name that says where it lives, and a topic's keys would live elsewhere than its channel.
 */
export const userId: NameRule = {
  pattern: /^[!-z|~]{1,180}$/,
  rule: '1 to 180 printable ASCII characters without a space or a brace',
};

export const city: NameRule = { pattern: /^[a-z0-9-]{1,32}$/, rule: '1 to 32 lower-case letters, digits or hyphens' };

/** `<kind>:<name>`, the name as long as a user's id. */
export const topic: NameRule = {
  pattern: new RegExp(`^[a-z]+:${userId.pattern.source.slice(1)}`),
  rule: `<kind>:<name>, the name ${userId.rule}`,
};

/** Of an event on a stream of server-sent events; a topic that had no event yet has no epoch. */
export const eventId: NameRule = {
  pattern: /^[\w-]{0,64}:\d{1,15}$/,
  rule: '<epoch>:<offset>, the id of an event; :0 is the beginning',
};

/** Of a version of a resource. */
export const etag: NameRule = { pattern: /^"\d{1,15}"$/, rule: 'an ETag of this resource, such as "3"' };

const rules = [userId, city, topic, eventId, etag];

/** The words for a pattern that a schema has from here. */
export const ruleOfPattern = (source: unknown): string | undefined =>
  rules.find(({ pattern }) => pattern.source === source)?.rule;
