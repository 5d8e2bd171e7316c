/** What other systems send: a record as it came, and what becomes of it. */
export interface InboundRecord {
  topic: string;
  partition: number;
  /** Within the partition. */
  offset: string;
  key: string;
  value: Buffer;
}

/** `delivered`: its readers are told. `repeat`: they were told before. `own`: a server of this region said it, and told them itself. */
export type Taken = 'delivered' | 'repeat' | 'own';

export interface EventIntake {
  /**
   * Resolves when the event has had its effect, which a repeat does not have again.
   * @throws RideError that is retryable when it cannot have it now; any other error when it never can
   */
  take(record: InboundRecord): Promise<Taken>;
}
