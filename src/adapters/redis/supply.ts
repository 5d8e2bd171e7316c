/** Available drivers out of `active-drivers`, in steps that Redis does not feel, with the positions that matching sees. */
import type { Position } from '../../ports/positions.ts';
import type { Supply } from '../../ports/supply.ts';
import { orAway } from './connection.ts';
import { driverKey } from './position-fields.ts';
import { createPositionReader } from './position-reader.ts';
import type { ScriptedRedis } from './scripts.ts';

const ACTIVE_DRIVERS = 'active-drivers';
/** Members looked at in one step of the scan. */
const STEP = 500;

export function createRedisSupply(redis: ScriptedRedis): Supply {
  const read = createPositionReader(redis);
  return {
    async available() {
      const found = new Map<string, Position>();
      let cursor = '0';
      do {
        const [next, members] = await orAway(redis.zscan(ACTIVE_DRIVERS, cursor, 'COUNT', STEP));
        cursor = next;
        // Member, score, member, score; a scan may name a member twice.
        const driverIds = members.filter((id, index) => index % 2 === 0 && !found.has(id));
        for (const position of await Promise.all(driverIds.map((id) => read(driverKey(id))))) {
          if (position) found.set(position.driverId, position);
        }
      } while (cursor !== '0');
      return [...found.values()];
    },
  };
}
