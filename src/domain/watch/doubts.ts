/**
 * Drivers whose positions are not believed: matching does not see them until one is. The index in Redis is told when that changes, and now
 * and then while it goes on, so that a driver who is doubted with every position costs no more than one who is doubted once.
 */
import type { Positions } from '../../ports/positions.ts';
import type { Drivers } from '../drivers/service.ts';
import type { Background } from './background.ts';
import type { DriverWatch } from './driver.ts';

/** Where he says to be he cannot be; he looks spoofed, or says so himself; his clock is far behind. */
export type Doubt = 'jump' | 'spoofed_gps' | 'stale_clock';

export interface DoubtsDeps {
  positions: Pick<Positions, 'distrust' | 'trust'>;
  drivers: Pick<Drivers, 'get' | 'reindex'>;
  /** How long after a sign of spoofing matching does not see a driver, domain ms; 0: it sees him. */
  distrustMs: number;
  onDistrusted(reason: Doubt): void;
  background: Background;
}

/** When the node that distrusts a driver has not come back to it for so long, another lets him be, domain ms. */
const OVERDUE_MS = 120_000;
/** While it goes on, Redis is told so often, domain ms. */
const RENEW_MS = 30_000;

export function createDoubts({ positions, drivers, distrustMs, onDistrusted, background }: DoubtsDeps) {
  /** He is no candidate until a fix is believed again, and `forMs` at least. */
  function distrust(driver: DriverWatch, now: number, forMs: number, reason: Doubt): void {
    const { distrustedUntil: before, overdueAt } = driver;
    const until = now + forMs;
    if (before !== null && before >= until) return;
    driver.distrustedUntil = until;
    if (before !== null && until + OVERDUE_MS < overdueAt + RENEW_MS) return;
    driver.overdueAt = until + OVERDUE_MS;
    if (before === null || forMs > 0) onDistrusted(reason);
    const told = driver.tail.then(() => positions.distrust(driver.driverId, until + OVERDUE_MS));
    driver.tail = background(told, 'a driver was not kept out of matching', driver.driverId, () => {
      driver.distrustedUntil = before;
      driver.overdueAt = overdueAt;
    });
  }

  async function admit(driverId: string): Promise<void> {
    await positions.trust(driverId);
    const driver = await drivers.get(driverId);
    if (driver) await drivers.reindex(driver);
  }

  return {
    /** His positions look spoofed, or he says that they are. */
    spoofed(driver: DriverWatch, now: number): void {
      if (distrustMs > 0) distrust(driver, now, distrustMs, 'spoofed_gps');
    },

    /** This fix is not believed; the next one may be. */
    doubted: (driver: DriverWatch, now: number, reason: Doubt): void => distrust(driver, now, 0, reason),

    /** This fix is believed. */
    believed(driver: DriverWatch, now: number): void {
      const { distrustedUntil: until } = driver;
      if (until === null || now < until) return;
      driver.distrustedUntil = null;
      driver.overdueAt = 0;
      const told = driver.tail.then(() => admit(driver.driverId));
      driver.tail = background(told, 'a driver was not let back into matching', driver.driverId, () => {
        driver.distrustedUntil = 0;
      });
    },

    /** Lets matching see a driver again. @throws RideError RIDE_UNAVAILABLE */
    admit,
  };
}
