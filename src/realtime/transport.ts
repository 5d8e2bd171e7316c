/** What the realtime core needs of a connection; WebSocket and gRPC each implement it. */
import type { ErrorCode } from '../errors.ts';
import type { Frame } from './frame.ts';

export interface Transport {
  /** Writes frames in order, in as few system calls as it can. */
  write(frames: readonly Frame[]): void;
  /** The peer takes no more for now: `onDrain` will tell. */
  blocked(): boolean;
  /** Calls `listener` once when a blocked peer takes again. */
  onDrain(listener: () => void): void;
  pauseReading(): void;
  resumeReading(): void;
  /** Ends the connection with what the code means on this transport. */
  close(code: ErrorCode, reason: string): void;
}
