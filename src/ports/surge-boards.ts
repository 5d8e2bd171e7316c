/** The board of surges that all nodes price by: one of them computes it, each reads it. */
import type { SurgeBoard } from '../domain/surge/rules.ts';

export interface SurgeBoards {
  /** Null when there is none. Rejects with RIDE_UNAVAILABLE. */
  read(): Promise<SurgeBoard | null>;
  /** Keeps `board` unless a newer one is there; true when it was kept. It is forgotten `ttlMs` (wall) later. */
  save(board: SurgeBoard, ttlMs: number): Promise<boolean>;
}
