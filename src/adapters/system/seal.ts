/** Seals by HMAC-SHA256: base64url of the text, a dot, base64url of the signature. */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Seal } from '../../ports/seal.ts';

const SEALED = /^([\w-]+)\.([\w-]{43})$/;

/**
 * @param secrets the first one signs, all are accepted, so that a key can be replaced while what it signed is still in use
 * @param purpose keys of two purposes differ although their secret is the same
 */
export function createSeal(secrets: readonly [string, ...string[]], purpose: string): Seal {
  const keys = secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', `ridestream ${purpose}`, 32)));
  const sign = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  return {
    close(text) {
      const body = Buffer.from(text).toString('base64url');
      return `${body}.${sign(keys[0]!, body).toString('base64url')}`;
    },
    open(sealed) {
      const [, body, signature] = SEALED.exec(sealed) ?? [];
      if (body === undefined || signature === undefined) return null;
      const given = Buffer.from(signature, 'base64url');
      // Two texts of 43 characters may mean the same 32 bytes: only the one that was given out is taken.
      if (given.toString('base64url') !== signature) return null;
      if (!keys.some((key) => timingSafeEqual(sign(key, body), given))) return null;
      return Buffer.from(body, 'base64url').toString();
    },
  };
}
