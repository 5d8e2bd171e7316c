// Sign-in and reads over REST. In development mode the page fetches a token for itself; otherwise the operator pastes one,
// and it is kept for this tab only.

const TOKEN_KEY = 'ridestream.map.token';

/** A refusal of the server as the page shows it; `status` 0 when there was no answer at all. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} message @param {number} retryAfterMs */
  constructor(status, code, message, retryAfterMs = 0) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  /** A repeat with the same token cannot help. */
  get fatal() {
    return this.status === 401 || this.status === 403;
  }
}

/**
 * @param {{base: URL, development: boolean, storage: Storage, fetch?: typeof fetch}} options `base`: root of the server
 */
export function createApi({ base, development, storage, fetch: fetchIt = globalThis.fetch.bind(globalThis) }) {
  let token = development ? '' : (storage.getItem(TOKEN_KEY) ?? '');
  /** Sign-in under way, shared by all that wait for it. @type {Promise<string> | null} */
  let signingIn = null;

  /** @param {string} path @param {RequestInit} init */
  async function call(path, init) {
    /** @type {Response} */
    let response;
    try {
      response = await fetchIt(new URL(path, base), { ...init, cache: 'no-store' });
    } catch (error) {
      throw new ApiError(0, '', `no answer from the server (${error instanceof Error ? error.message : error})`);
    }
    const body = await response.json().catch((/** @type {unknown} */ error) => {
      if (!response.ok) return null;
      throw new ApiError(response.status, '', `the answer is not JSON (${error})`);
    });
    if (response.ok) return body;
    const after = body?.retry_after_ms ?? Number(response.headers.get('retry-after') ?? 0) * 1000;
    const text = body?.detail || body?.title || response.statusText || `status ${response.status}`;
    throw new ApiError(response.status, body?.code ?? '', String(text), Number(after) || 0);
  }

  async function developmentToken() {
    signingIn ??= call('api/v1/auth/token', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ role: 'admin' }),
    })
      .then((answer) => String(answer.access_token))
      .finally(() => {
        signingIn = null;
      });
    token = await signingIn;
    return token;
  }

  /** @throws {ApiError} status 401 when the operator has to give one */
  async function currentToken() {
    if (token !== '') return token;
    if (development) return developmentToken();
    throw new ApiError(401, 'RIDE_UNAUTHENTICATED', 'Sign-in is needed');
  }

  /** @param {string} path */
  async function getOnce(path) {
    return call(path, { headers: { authorization: `Bearer ${await currentToken()}` } });
  }

  return {
    currentToken,

    /** Whether a token was given: when it is refused, it was the wrong one. */
    get hasToken() {
      return token !== '';
    },

    /** Forgets the token: it was refused. In development the next call fetches another. */
    forget() {
      token = '';
      storage.removeItem(TOKEN_KEY);
    },

    /** Takes a token from the operator, for this tab. @param {string} given */
    use(given) {
      token = given.trim();
      storage.setItem(TOKEN_KEY, token);
    },

    /**
     * JSON of a path relative to the root of the server.
     * @param {string} path @throws {ApiError}
     */
    async get(path) {
      try {
        return await getOnce(path);
      } catch (error) {
        // An access token lives for minutes: in development the page gets itself the next.
        if (!development || !(error instanceof ApiError) || error.status !== 401) throw error;
        token = '';
        return getOnce(path);
      }
    },
  };
}
