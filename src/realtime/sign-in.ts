/**
 * Who opens a session: the bearer of an access token, or of a reconnect token that an earlier session was given, on whatever
 * node. The same for every stream transport.
 */
import type { Principal } from '../domain/roles.ts';
import { RideError } from '../errors.ts';
import type { Logger } from '../ports/logger.ts';
import type { Meter } from '../ports/meter.ts';
import type { Recovery, Redeemed } from './recovery.ts';

export interface Credentials {
  accessToken: string | undefined;
  reconnectToken: string | undefined;
}

export interface SignedIn {
  principal: Principal;
  /** What an earlier session left. */
  saved: Redeemed | null;
}

/** `Bearer x` → `x`, of a header or metadata. */
export const bearerOf = (value: string | undefined): string | undefined => /^Bearer +(\S+)$/i.exec(value ?? '')?.[1];

/**
 * With both tokens the sign-in is the access token's, and the reconnect token restores what it stands for if it still can; it
 * must be of the same user and role. A reconnect token is worth nothing afterwards.
 * @param admit throws when the caller may not come in here
 * @throws RideError RIDE_UNAUTHENTICATED, RIDE_TOKEN_EXPIRED, RIDE_UNAVAILABLE, and what `admit` throws
 */
export type SignIn = (credentials: Credentials, admit?: (principal: Principal) => void) => Promise<SignedIn>;

export interface SignInOptions {
  verifyToken(token: string | undefined): Principal;
  recovery: Pick<Recovery, 'redeem' | 'giveBack'>;
  meter: Meter;
  log: Logger;
}

const FIELD = 'reconnect_token';
const TOKEN = /^[\w-]{16,64}$/;

export function createSignIn({ verifyToken, recovery, meter, log }: SignInOptions): SignIn {
  function refuse(message: string, rule: string): never {
    meter.authenticationFailed(FIELD);
    throw new RideError('RIDE_UNAUTHENTICATED', message, { field: FIELD, rule });
  }

  /** Null when the token stands for nothing. */
  async function redeem(token: string): Promise<Redeemed | null> {
    const saved = TOKEN.test(token) ? await recovery.redeem(token) : null;
    meter.stream('reconnect', saved ? 'redeemed' : 'unknown');
    return saved;
  }

  async function resume(token: string): Promise<SignedIn> {
    const saved = await redeem(token);
    if (!saved || saved.session.expiresAt <= Date.now()) {
      return refuse('The reconnect token is not valid', 'a token of a welcome, not used before and not expired');
    }
    const { userId, role, city, vehicleClass, premium, expiresAt, tokenHash = '' } = saved.session;
    return { principal: { userId, role, city, vehicleClass, premium, expiresAt, tokenHash }, saved };
  }

  async function resumeAs(principal: Principal, token: string): Promise<SignedIn> {
    let saved: Redeemed | null = null;
    try {
      saved = await redeem(token);
    } catch (error) {
      log.warn({ err: error, user_id: principal.userId }, 'a session begins anew: its reconnect token cannot be read');
    }
    if (saved && (saved.session.userId !== principal.userId || saved.session.role !== principal.role)) {
      return refuse('The reconnect token is another one’s', 'a token of the same user and role as the sign-in');
    }
    return { principal, saved };
  }

  return async ({ accessToken, reconnectToken }, admit) => {
    if (!reconnectToken) {
      const principal = verifyToken(accessToken);
      admit?.(principal);
      return { principal, saved: null };
    }
    if (accessToken) {
      const principal = verifyToken(accessToken);
      admit?.(principal);
      return resumeAs(principal, reconnectToken);
    }
    const signedIn = await resume(reconnectToken);
    try {
      admit?.(signedIn.principal);
    } catch (error) {
      recovery.giveBack(signedIn.saved);
      throw error;
    }
    return signedIn;
  };
}
