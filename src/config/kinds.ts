/** The kinds of settings: how the text of a variable becomes a value, and the sentence that names the rule it broke. */
import { isAbsolute, resolve } from 'node:path';

/** How a variable's text becomes a value; `rule` completes the sentence "NAME must be …". */
export interface Kind<T> {
  rule: string;
  parse(text: string): T | undefined;
}

export interface Setting<T> {
  name: string;
  kind: Kind<T>;
  /** As text, the way an operator would write it; undefined: the setting may be absent. */
  default?: string;
  doc: string;
  /** Value shown in the docs must be hidden, e.g. a secret. */
  secret?: boolean;
}

export interface ListenAddress {
  host: string;
  port: number;
}

export const text: Kind<string> = { rule: 'a text that is not empty', parse: (s) => (s === '' ? undefined : s) };

export const slug: Kind<string> = {
  rule: '1 to 32 lower-case letters, digits or hyphens',
  parse: (s) => (/^[a-z0-9-]{1,32}$/.test(s) ? s : undefined),
};

export const word: Kind<string> = {
  rule: 'a text without spaces',
  parse: (s) => (/^\S+$/.test(s) ? s : undefined),
};

export const path: Kind<string> = {
  rule: 'a path',
  parse: (s) => (s === '' ? undefined : isAbsolute(s) ? s : resolve(s)),
};

export function oneOf<const T extends string>(...values: readonly T[]): Kind<T> {
  return { rule: `one of ${values.join(', ')}`, parse: (s) => values.find((value) => value === s) };
}

export function integer(min: number, max: number): Kind<number> {
  return {
    rule: `a whole number from ${min} to ${max}`,
    parse: (s) => {
      const n = Number(s);
      return /^-?\d+$/.test(s) && n >= min && n <= max ? n : undefined;
    },
  };
}

export function decimal(min: number, max: number): Kind<number> {
  return {
    rule: `a number from ${min} to ${max}`,
    parse: (s) => {
      const n = Number(s);
      return s.trim() !== '' && Number.isFinite(n) && n >= min && n <= max ? n : undefined;
    },
  };
}

const DURATION_UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** In the largest unit that divides it: 86400000 → `1d`. */
function formatDuration(ms: number): string {
  const [unit, size] = Object.entries(DURATION_UNIT_MS).findLast(([, one]) => ms >= one && ms % one === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}

/** Go's style, as in document B: `5s`, `250ms`, `24h`. Value in milliseconds. */
export function duration(minMs: number, maxMs: number): Kind<number> {
  return {
    rule: `a duration such as 250ms, 5s, 10m or 24h, from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`,
    parse: (s) => {
      const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(s);
      if (!match) return undefined;
      const ms = Number(match[1]) * DURATION_UNIT_MS[match[2]!]!;
      return ms >= minMs && ms <= maxMs ? ms : undefined;
    },
  };
}

export const listenAddress: Kind<ListenAddress> = {
  rule: '[host]:port with a port from 0 (any free one) to 65535, e.g. :8080, 127.0.0.1:8080 or [::1]:8080',
  parse: (s) => {
    const match = /^(\[[0-9a-fA-F:]+\]|[^:[\]]*):(\d{1,5})$/.exec(s);
    if (!match || Number(match[2]) > 65535) return undefined;
    return { host: match[1]!.replace(/^\[|\]$/g, ''), port: Number(match[2]) };
  },
};

/** As a browser names it in `Origin`: scheme, host, and a port that is not the scheme's own. Packaged apps have schemes of their own. */
const isOrigin = (s: string): boolean =>
  /^[a-z][a-z\d+.-]*:\/\/[\w.:[\]-]+$/.test(s) && (!/^https?:/.test(s) || (URL.canParse(s) && new URL(s).origin === s));

export const origins: Kind<readonly string[]> = {
  rule: 'origins such as https://app.example.com separated by commas, or * for any',
  parse: (s) => {
    if (s === '*') return [s];
    const list = s.split(',').map((origin) => origin.trim());
    return list.every(isOrigin) ? list : undefined;
  },
};

/** An IPv4 address. */
const FOUR = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;

/** An address or a network of them, as `10.0.0.0/8`. */
function isNetwork(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  const isFour = FOUR.test(address);
  const isSix = /^[\da-f:.]+$/i.test(address) && URL.canParse(`http://[${address}]`);
  if (!(isFour || isSix) || more.length > 0) return false;
  return bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= (isFour ? 32 : 128));
}

export const networks: Kind<readonly string[]> = {
  rule: 'IP addresses or networks such as 10.0.0.0/8 separated by commas',
  parse: (s) => {
    const list = s.split(',').map((network) => network.trim());
    return list.every(isNetwork) ? list : undefined;
  },
};

export function url(...protocols: readonly string[]): Kind<string> {
  return {
    rule: `a URL that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`,
    parse: (s) => {
      // A MongoDB URL may name several hosts, which is no URL to anyone else.
      const isUrl = s.startsWith('mongodb') || URL.canParse(s);
      return isUrl && protocols.some((p) => s.startsWith(`${p}//`)) ? s : undefined;
    },
  };
}

export const redisUrl: Kind<string> = {
  rule: 'redis://host:port, rediss://host:port, unix:///path, or for a cluster redis-cluster://host:port,host:port (rediss-cluster:// with TLS), each with user:password@ where needed',
  parse: (s) => {
    const cluster = /^rediss?-cluster:\/\/(?:[^@/]*@)?([^/@]+)\/?$/.exec(s);
    if (cluster) return cluster[1]!.split(',').every(isHost) ? s : undefined;
    return /^unix:\/./.test(s) || (/^rediss?:\/\/./.test(s) && URL.canParse(s)) ? s : undefined;
  },
};

/** `host`, `host:port` or `[::1]:port`. */
const isHost = (s: string): boolean => /^([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?$/.test(s);

/** `host:port,host:port` */
export const hostList: Kind<readonly string[]> = {
  rule: 'host:port, or several with commas between them',
  parse: (s) => {
    const hosts = s.split(',').map((host) => host.trim());
    return hosts.every((host) => isHost(host) && /:\d{1,5}$/.test(host)) ? hosts : undefined;
  },
};

export const namespace: Kind<string> = {
  rule: 'tenant/namespace',
  parse: (s) => (/^[\w.-]+\/[\w.-]+$/.test(s) ? s : undefined),
};

export const timeZone: Kind<string> = {
  rule: 'an IANA time zone such as America/New_York',
  parse: (s) => {
    try {
      return new Intl.DateTimeFormat('en', { timeZone: s }).resolvedOptions().timeZone;
    } catch {
      return undefined; // not a time zone: the caller says the rule
    }
  },
};

export const instant: Kind<number> = {
  rule: 'an RFC 3339 time such as 2015-01-15T08:00:00-05:00',
  parse: (s) => (/^\d{4}-\d\d-\d\dT/.test(s) && !Number.isNaN(Date.parse(s)) ? Date.parse(s) : undefined),
};

export const required = <T>(
  name: string,
  kind: Kind<T>,
  value: string,
  doc: string,
): Setting<T> & { default: string } => ({
  name,
  kind,
  default: value,
  doc,
});
export const optional = <T>(name: string, kind: Kind<T>, doc: string, secret = false): Setting<T> => ({
  name,
  kind,
  doc,
  secret,
});

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
