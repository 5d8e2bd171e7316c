/** Who may call a route, by role. */
import type { Principal, Role } from '../domain/roles.ts';
import { RideError } from '../errors.ts';

/** @throws RideError RIDE_FORBIDDEN that names the roles it takes */
export function requireRole(principal: Principal, ...allowed: readonly Role[]): void {
  if (allowed.includes(principal.role)) return;
  const takers = allowed.join(' or ');
  throw new RideError('RIDE_FORBIDDEN', `A ${principal.role} may not do this; it takes ${takers}`, {
    field: 'authorization',
    rule: `a token of a ${takers}`,
  });
}
