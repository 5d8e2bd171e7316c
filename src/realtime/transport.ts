/** What the realtime core needs of a connection; WebSocket, gRPC and server-sent events each implement it. */
import type { ErrorCode } from '../errors.ts';
import type { Outgoing } from './frame.ts';

export interface Transport {
  /** Writes finished messages. Between `cork` and `uncork` several of them become one system call where the transport can. */
  write(outgoing: Outgoing): void;
  cork(): void;
  uncork(): void;
  /** The peer takes no more for now: `onDrain` will tell. */
  blocked(): boolean;
  /** Calls `listener` once when a blocked peer takes again. */
  onDrain(listener: () => void): void;
  pauseReading(): void;
  resumeReading(): void;
  /** For peers that can only listen: sends something empty; false when the peer has stopped to take anything. */
  keepAlive?(): boolean;
  /** Ends the connection with what the code means on this transport. */
  close(code: ErrorCode, reason: string): void;
}
