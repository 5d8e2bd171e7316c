/**
 * Sign-in, one verifier for REST, the WebSocket upgrade and gRPC metadata: `app.verifyToken`. A verified token is remembered
 * until it expires, so that a busy client costs one signature check.
 *
 * Accounts (OTP, refresh, revocation, JWKS) will stand behind the same seam.
 */

import { hash } from 'node:crypto';
import type { Socket } from 'node:net';
import jwt from '@fastify/jwt';
import type { FastifyInstance, onRequestHookHandler, preParsingHookHandler } from 'fastify';
import fp from 'fastify-plugin';
import { city, userId } from '../domain/names.ts';
import { type Principal, type Role, roles, type VehicleClass, vehicleClasses } from '../domain/roles.ts';
import { RideError } from '../errors.ts';
import type { Meter } from '../ports/meter.ts';

export interface AuthOptions {
  secret: string;
  /** City of a token that names none. */
  city: string;
  meter: Meter;
}

declare module 'fastify' {
  interface FastifyInstance {
    /** @throws RideError RIDE_UNAUTHENTICATED, RIDE_TOKEN_EXPIRED */
    verifyToken(token: string | undefined): Principal;
    signToken(principal: Omit<Principal, 'expiresAt' | 'tokenHash'>, ttlMs: number): string;
    /** onRequest hook: finds out who asks. It refuses nobody yet: who has no good token is to be counted first. */
    identify: onRequestHookHandler;
    /** preParsing hook: refuses who did not sign in. */
    authenticate: preParsingHookHandler;
  }
  interface FastifyRequest {
    principal: Principal;
    signInError: unknown;
  }
}

interface Claims {
  sub: string;
  role: Role;
  city?: string;
  vehicle_class?: VehicleClass;
  premium?: boolean;
  exp: number;
}

/** Tokens that are remembered, and the longest of them; the others are verified at every request. */
const REMEMBERED_MAX = 50_000;
const REMEMBERED_CHARS = 2048;

interface ClaimRule {
  /** Completes the sentence "… must be". */
  rule: string;
  isOptional?: boolean;
  keeps(value: unknown): boolean;
}

const oneOf = (values: readonly unknown[]) => ({
  rule: `one of ${values.join(', ')}`,
  keeps: (value: unknown) => values.includes(value),
});

const named = ({ pattern, rule }: typeof userId) => ({
  rule,
  keeps: (value: unknown) => typeof value === 'string' && pattern.test(value),
});

/** The table of docs/protocol.md. A claim that breaks its rule is refused, never taken for something else. */
const claimRules: Record<keyof Claims, ClaimRule> = {
  sub: named(userId),
  role: oneOf(roles),
  exp: { rule: 'a number, the seconds since 1970 when the token ends', keeps: Number.isFinite },
  city: { ...named(city), isOptional: true },
  vehicle_class: { ...oneOf(vehicleClasses), isOptional: true },
  premium: { ...oneOf([true, false]), isOptional: true },
};

/** The first claim that breaks its rule; null when all keep theirs. */
function brokenClaim(claims: Claims): { claim: string; rule: string } | null {
  for (const [claim, { rule, isOptional, keeps }] of Object.entries(claimRules)) {
    const value = claims[claim as keyof Claims];
    if (!(isOptional && value === undefined) && !keeps(value)) return { claim, rule };
  }
  return null;
}

function toPrincipal(token: string, claims: Claims, defaultCity: string): Principal {
  return {
    tokenHash: hash('sha256', token, 'base64url'),
    userId: claims.sub,
    role: claims.role,
    city: claims.city ?? defaultCity,
    vehicleClass: claims.vehicle_class ?? 'standard',
    premium: claims.premium ?? false,
    expiresAt: claims.exp * 1000,
  };
}

/** `Bearer x` → `x`. */
function bearerOf(header: string | undefined): string | undefined {
  return /^Bearer +(\S+)$/i.exec(header ?? '')?.[1];
}

export const authPlugin = fp<AuthOptions>(
  async (app: FastifyInstance, options) => {
    await app.register(jwt, {
      secret: options.secret,
      sign: { algorithm: 'HS256' },
      verify: { algorithms: ['HS256'] },
    });
    /** By the token itself: it is in memory for as long as its client's requests are in any case. */
    const verified = new Map<string, Principal>();

    function remember(token: string, principal: Principal): void {
      if (token.length > REMEMBERED_CHARS) return;
      if (verified.size >= REMEMBERED_MAX) {
        // Insertion order: the oldest entry goes. A client that is still there is verified again.
        const oldest = verified.keys().next().value;
        if (oldest !== undefined) verified.delete(oldest);
      }
      verified.set(token, principal);
    }

    function refuse(reason: string, error: RideError): never {
      options.meter.authenticationFailed(reason);
      throw error;
    }

    const field = 'authorization';

    const expired = (): never => {
      const rule = 'a token that has not expired';
      return refuse('expired', new RideError('RIDE_TOKEN_EXPIRED', 'The token has expired', { field, rule }));
    };

    const invalid = (message: string, cause?: unknown): never => {
      const rule = 'a token that this server trusts';
      return refuse('invalid', new RideError('RIDE_UNAUTHENTICATED', message, { field, rule, cause }));
    };

    app.decorate('verifyToken', (token: string | undefined): Principal => {
      if (!token) {
        refuse(
          'missing',
          new RideError('RIDE_UNAUTHENTICATED', 'No token was given', { field, rule: 'Bearer <token>' }),
        );
      }
      // A query may name a token twice, which makes it a list.
      if (typeof token !== 'string') invalid('The token was given more than once');
      const known = verified.get(token);
      if (known) {
        if (known.expiresAt > Date.now()) return known;
        verified.delete(token);
        return expired();
      }
      let claims: Claims;
      try {
        claims = app.jwt.verify<Claims>(token);
      } catch (error) {
        if ((error as { code?: string }).code === 'FAST_JWT_EXPIRED') return expired();
        return invalid('The token is not valid', error);
      }
      const broken = brokenClaim(claims);
      if (broken) {
        const { claim, rule } = broken;
        const details = { field: claim, rule };
        refuse('invalid', new RideError('RIDE_UNAUTHENTICATED', `The token’s ${claim} must be ${rule}`, details));
      }
      const principal = toPrincipal(token, claims, options.city);
      remember(token, principal);
      return principal;
    });

    app.decorate('signToken', (p: Omit<Principal, 'expiresAt' | 'tokenHash'>, ttlMs: number): string =>
      app.jwt.sign(
        { sub: p.userId, role: p.role, city: p.city, vehicle_class: p.vehicleClass, premium: p.premium },
        { expiresIn: Math.ceil(ttlMs / 1000) },
      ),
    );

    app.decorateRequest('principal');
    app.decorateRequest('signInError', null);
    /** The last on a connection, which is mostly its only one: comparing a header is cheaper than looking its token up. */
    const heard = new WeakMap<Socket, { header: string | undefined; principal: Principal }>();

    app.decorate('identify', (request, _reply, done) => {
      const { socket, headers } = request.raw;
      const header = headers.authorization;
      const last = heard.get(socket);
      if (last && last.header === header && last.principal.expiresAt > Date.now()) {
        request.principal = last.principal;
        return done();
      }
      try {
        const principal = app.verifyToken(bearerOf(header));
        request.principal = principal;
        heard.set(socket, { header, principal });
      } catch (error) {
        request.signInError = error;
      }
      done();
    });
    app.decorate('authenticate', (request, _reply, _payload, done) => done(request.signInError as Error | null));
  },
  { name: 'auth' },
);
