/**
 * What a trip's location is answered with. Who follows a driver asks more often than he moves: all of an answer but its age is
 * written once for a position, and its tag is made once.
 */
import type { FastifyReply } from 'fastify';
import { staleReasons, toPositionWire } from '../domain/locations/schemas.ts';
import type { Followed } from '../domain/locations/service.ts';
import type { Position } from '../ports/positions.ts';
import { entityTag } from './conditional.ts';

/** As Fastify names it for what it writes itself. */
export const JSON_TYPE = 'application/json; charset=utf-8';

/** What is before the age and what is after it. */
class Answer {
  readonly tag: string;
  readonly #head: string;
  readonly #tail: string;

  constructor(tag: string, head: string, tail: string) {
    this.tag = tag;
    this.#head = head;
    this.#tail = tail;
  }

  /** The whole JSON text. */
  at(ageMs: number): string {
    return `${this.#head}${Math.trunc(ageMs)}${this.#tail}`;
  }
}

/** A quote within a text is escaped: this stands once in an answer, as the member that it is. */
const AGE = '"age_ms":';

/** @param reply of a route whose schema has the answer */
function write(reply: FastifyReply, tripId: string, { position, stale, staleReason }: Followed): Answer {
  const { driverId, recordedAt, lat, lng, speedMps, headingDeg, accuracyM, source } = position;
  const tag = entityTag(driverId, recordedAt, lat, lng, speedMps, headingDeg, accuracyM, source, staleReason ?? stale);
  const wire = { ...toPositionWire({ ...position, ageMs: 0, stale, staleReason }), trip_id: tripId };
  const text = reply.serializeInput(wire, '200') as string;
  const end = text.indexOf(AGE) + AGE.length;
  return new Answer(tag, text.slice(0, end), text.slice(end + 1));
}

export class LocationAnswers {
  readonly #fresh = new WeakMap<Position, Answer>();
  readonly #stale = new Map(staleReasons.map((reason) => [reason, new WeakMap<Position, Answer>()]));

  /** @param reply of a route whose schema has the answer */
  of(reply: FastifyReply, tripId: string, followed: Followed): Answer {
    const { position, stale, staleReason = 'silent' } = followed;
    const written = stale ? this.#stale.get(staleReason)! : this.#fresh;
    let answer = written.get(position);
    if (answer === undefined) {
      answer = write(reply, tripId, followed);
      written.set(position, answer);
    }
    return answer;
  }
}
