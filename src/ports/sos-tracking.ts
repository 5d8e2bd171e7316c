/** Tracking of open alerts in Redis: `sos:tracking:{alertId}` with document C's fields. */
import type { LatLng } from '../domain/geo.ts';

export interface SosTracking {
  /** Does nothing when it runs already. `startedAt` epoch ms. */
  start(tracking: { alertId: string; tripId: string; startedAt: number; lastLocation: LatLng | null }): Promise<void>;
  /** The alert is over: nothing of it is tracked any more. */
  end(alertId: string): Promise<void>;
}
