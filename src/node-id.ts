/** The name of a node to which none was given: one that no other has, and that people know again in logs. */
import { randomInt } from 'node:crypto';

const HOST_MAX = 12;
const CHANCE = 7;

/**
 * @param host the machine's name; of it the end of the first label, which is where clusters put what differs (`ridestream-6d4cf56db6-x2k4q`)
 * @returns at most 20 characters, so that workers may add to it
 */
export function defaultNodeId(host: string): string {
  const slug = host
    .split('.')[0]!
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(-HOST_MAX)
    .replace(/^-+|-+$/g, '');
  // Not the process id: containers count from 1, each for itself, and those of one machine may have its name as well.
  const chance = randomInt(36 ** CHANCE)
    .toString(36)
    .padStart(CHANCE, '0');
  return `${slug || 'node'}-${chance}`;
}
