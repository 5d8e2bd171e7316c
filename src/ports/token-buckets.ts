/**
 * Token buckets that all nodes share. A bucket holds `capacity` tokens, is full at first, and fills up by as much within
 * `windowMs`. Its time is that of whoever keeps it, so that the nodes' clocks need not agree.
 */
export interface BucketShape {
  capacity: number;
  windowMs: number;
}

export interface Grant {
  /** Tokens that are the caller's now: between `least` and `most`, or 0. */
  granted: number;
  /** When nothing was granted: how long until `least` are there, milliseconds. */
  waitMs: number;
  /** What the bucket holds now, whole tokens. */
  left: number;
}

export interface TokenBuckets {
  /** Takes as many tokens as there are up to `most`, in one step; none when fewer than `least` are there. Rejects with RIDE_UNAVAILABLE. */
  take(bucket: string, shape: BucketShape, least: number, most: number): Promise<Grant>;
  /** Puts back tokens that were not spent. Never waits, never throws; what is lost comes back with time. */
  giveBack(bucket: string, shape: BucketShape, tokens: number): void;
}
