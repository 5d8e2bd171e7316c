/**
 * What a subscription is not given of a trip's topic: what was said before the trip became its driver's own. Of each such message it gets
 * the place alone, so that it sees no hole. Whoever is offered the trip learns on the topic itself, in order, that it has become his.
 */
import { placeOf } from './envelope.ts';
import { Batch, type Frame, type Outgoing } from './frame.ts';

export class Veil {
  readonly #userId: string;
  /** What was said at the trip's event of this `seq` and later is heard; infinity: nothing yet. */
  #from = Number.POSITIVE_INFINITY;

  constructor(userId: string) {
    this.#userId = userId;
  }

  get isLifted(): boolean {
    return this.#from < Number.POSITIVE_INFINITY;
  }

  /** From this event of the trip on it is heard, or from an earlier one on if that was known. */
  lift(from: number): void {
    this.#from = Math.min(this.#from, from);
  }

  /** What is left of what comes next; null: nothing. */
  over(outgoing: Outgoing): Outgoing | null {
    const { frames } = outgoing;
    if (frames.length === 1) return this.#heard(frames[0]!);
    const heard = frames.map((frame) => this.#heard(frame));
    // What is joined already is shared by all who hear it whole.
    if (heard.every((frame, i) => frame === frames[i])) return outgoing;
    const left = heard.filter((frame) => frame !== null);
    return left.length > 0 ? new Batch(left) : null;
  }

  #heard(frame: Frame): Frame | null {
    if (frame.kind === 'chat_message') return this.#isHeard(frame) ? frame : placeOf(frame);
    if (this.isLifted) return frame;
    if (frame.kind === 'typing_notice') return null;
    if (frame.kind === 'trip_event') this.#learn(frame);
    return frame;
  }

  #isHeard(frame: Frame): boolean {
    const payload = frame.decode((envelope) => envelope.payload);
    return payload.case === 'chatMessage' && Number(payload.value.tripSeq) >= this.#from;
  }

  #learn(frame: Frame): void {
    const payload = frame.decode((envelope) => envelope.payload);
    if (payload.case !== 'tripEvent') return;
    const { type, driverId, seq } = payload.value;
    // What another system says of a trip makes it nobody's, whatever it is called.
    if (type === 'assigned' && driverId === this.#userId && seq > 0n) this.lift(Number(seq));
  }
}
