/** Who may call a route, by role. */
import { isOperator, type Principal, type Role } from '../domain/roles.ts';
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

/**
 * Whom a request is for: the caller, or whoever `field` of it names.
 * @param own what goes for who is no operator, as a sentence: `A passenger books for himself`
 * @throws RideError RIDE_FORBIDDEN when he names another
 */
export function forWhom(principal: Principal, field: string, named: string | undefined, own: string): string {
  if (named === undefined || named === principal.userId) return principal.userId;
  if (isOperator(principal.role)) return named;
  throw new RideError('RIDE_FORBIDDEN', own, { field, rule: 'the id of the caller' });
}
