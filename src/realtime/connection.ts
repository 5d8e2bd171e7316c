/**
 * The receiving end of one session: what its peer sends is decoded and handled, so many messages at a time. While the session is
 * held (document A: its outbound buffer is nearly full, or too much is under way) messages wait, but for those that are urgent,
 * and when enough waits the peer is not read any more.
 */
import { RideError } from '../errors.ts';
import type { Broker } from './broker.ts';
import { corrIdOf, decodeBinary, decodeJson } from './envelope.ts';
import type { ClientEnvelope } from './generated/ride/v1/ride_pb.js';
import type { Asker, Inbound } from './inbound.ts';
import { clientMessages } from './messages/index.ts';
import type { Recovery } from './recovery.ts';
import { MAX_IN_FLIGHT, MAX_URGENT } from './ring.ts';
import type { Session } from './session.ts';

/** What is still read of a session that is held, so that what is urgent is found in it; then its reads pause. */
const MAX_KEPT = { messages: 64, bytes: 65_536 };

/** Heartbeats, acknowledgements and SOS, which no limit counts either. */
const isUrgent = ({ payload }: ClientEnvelope): boolean =>
  payload.case !== undefined && clientMessages[payload.case]?.rate === 'none';

/** A message that could not be decoded. */
class Undecodable {
  readonly error: unknown;
  readonly corrId: string;

  constructor(error: unknown, corrId: string) {
    this.error = error;
    this.corrId = corrId;
  }
}

type Said = ClientEnvelope | Undecodable;

/** What came while the session was held. */
interface Kept {
  /** What waits, in order. */
  waiting: { said: Said; bytes: number }[];
  /** Of all that waits. */
  bytes: number;
  /** Urgent messages that were handled meanwhile. */
  urgent: number;
}

export interface ConnectionOptions {
  broker: Pick<Broker, 'lost'>;
  inbound: Pick<Inbound, 'handle' | 'undecodable'>;
  recovery: Pick<Recovery, 'forget'>;
  maxPayloadBytes: number;
}

export class Connection implements Asker {
  readonly session: Session;
  readonly #options: ConnectionOptions;
  /** Until the welcome is sent. */
  #ready: Promise<void> | null;
  #inFlight = 0;
  #kept: Kept | null = null;
  /** Called when nothing is in flight any more. */
  #onIdle: (() => void) | null = null;

  constructor(session: Session, options: ConnectionOptions, ready: Promise<void>) {
    this.session = session;
    this.#options = options;
    this.#ready = ready.then(() => {
      this.#ready = null;
    });
  }

  /** A message as protobuf JSON. */
  text(data: Buffer): void {
    if (this.#tooLarge(data.length)) return;
    const text = data.toString();
    let envelope: ClientEnvelope;
    try {
      envelope = decodeJson(text);
    } catch (error) {
      this.#refuse(error, corrIdOf(text));
      return;
    }
    this.#take(data.length, envelope);
  }

  /** A message as binary protobuf. */
  binary(data: Buffer): void {
    if (this.#tooLarge(data.length)) return;
    let envelope: ClientEnvelope;
    try {
      envelope = decodeBinary(data);
    } catch (error) {
      this.#refuse(error, '');
      return;
    }
    this.#take(data.length, envelope);
  }

  /** The client will send no more: resolves when what it sent is answered and taken; the session has ended then. */
  async finish(): Promise<void> {
    await this.#ready;
    if (this.#inFlight > 0 || this.#kept !== null) {
      const idle = Promise.withResolvers<void>();
      this.#onIdle = idle.resolve;
      await idle.promise;
    }
    await this.session.drained();
    this.left();
  }

  /** The client ended the connection in good order: it does not come back to this session, unless it was sent away. */
  left(): void {
    const { recovery } = this.#options;
    if (!this.session.closed && this.session.sentAwayMs === null) recovery.forget(this.session);
    this.gone();
  }

  /** The connection ended by itself. */
  gone(): void {
    this.#options.broker.lost(this.session);
  }

  #tooLarge(bytes: number): boolean {
    const { maxPayloadBytes } = this.#options;
    if (bytes <= maxPayloadBytes) return false;
    const rule = `at most ${maxPayloadBytes} bytes`;
    const error = new RideError('RIDE_PAYLOAD_TOO_LARGE', `A message of ${bytes} bytes; it must be ${rule}`, {
      field: 'payload',
      rule,
    });
    this.#refuse(error, '');
    return true;
  }

  #refuse(error: unknown, corrId: string): void {
    this.#accept(0, false, new Undecodable(error, corrId));
  }

  #take(bytes: number, envelope: ClientEnvelope): void {
    this.#accept(bytes, isUrgent(envelope), envelope);
  }

  /** Handles it now or, while the session is held, when it is released, in order; what is urgent overtakes the rest. */
  #accept(bytes: number, urgent: boolean, said: Said): void {
    const { session } = this;
    session.lastSeen = Date.now();
    if (!session.held) {
      this.#run(said);
      return;
    }
    session.onReleased ??= () => this.#goOn();
    this.#kept ??= { waiting: [], bytes: 0, urgent: 0 };
    const kept = this.#kept;
    if (urgent && kept.urgent < MAX_URGENT) {
      kept.urgent++;
      this.#run(said);
      return;
    }
    kept.waiting.push({ said, bytes });
    kept.bytes += bytes;
    if (kept.waiting.length >= MAX_KEPT.messages || kept.bytes >= MAX_KEPT.bytes) session.pause();
  }

  /** The session is released: what was kept comes first, then its reads go on. */
  #goOn(): void {
    const kept = this.#kept;
    if (kept === null) return;
    kept.urgent = 0;
    let next = 0;
    while (next < kept.waiting.length && !this.session.held) {
      const { said, bytes } = kept.waiting[next++]!;
      kept.bytes -= bytes;
      this.#run(said);
    }
    kept.waiting = kept.waiting.slice(next);
    if (kept.waiting.length > 0) return;
    this.#kept = null;
    if (this.#inFlight === 0) this.#onIdle?.();
    this.session.resume();
  }

  #run(said: Said): void {
    // The welcome is the first message of a session, whatever the client sent meanwhile.
    const ready = this.#ready;
    if (ready === null && !this.#handle(said)) return;
    if (++this.#inFlight === MAX_IN_FLIGHT) this.session.hold();
    void ready?.then(() => {
      if (!this.#handle(said)) this.answered();
    });
  }

  /** Whether `answered` will follow, later. */
  #handle(said: Said): boolean {
    const { inbound } = this.#options;
    if (this.session.closed) return false;
    if (!(said instanceof Undecodable)) return inbound.handle(this.session, said, this);
    inbound.undecodable(this.session, said.error, said.corrId, this);
    return true;
  }

  answered(): void {
    if (this.#inFlight-- === MAX_IN_FLIGHT) this.session.release();
    if (this.#inFlight === 0 && this.#kept === null) this.#onIdle?.();
  }
}
