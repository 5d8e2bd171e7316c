/**
 * Which geofences a driver is in, known to all nodes (`geofence:inside:{driverId}` in Redis): whoever comes to another node is not
 * taken to enter again, and of two nodes that see the same crossing one tells of it.
 */
export interface FenceMarks {
  /** Ids of the geofences and when he entered each, epoch milliseconds. Rejects with RIDE_UNAVAILABLE. */
  of(driverId: string): Promise<Map<string, number>>;
  /** False when he is marked as inside already. `at` epoch milliseconds. Rejects with RIDE_UNAVAILABLE. */
  enter(driverId: string, geofenceId: string, at: number): Promise<boolean>;
  /** False when he is not marked as inside. Rejects with RIDE_UNAVAILABLE. */
  leave(driverId: string, geofenceId: string): Promise<boolean>;
}
