// Requests to the API with the token of the login.

const WAIT_MS = 20_000;

// What the API refused, or that it could not be reached (status 0).
export class Refused extends Error {
  constructor(status, message, code = '') {
    super(message);
    this.status = status;
    this.code = code;
  }
}

// The API for one login. `ended` is called when its token is not good any more.
export class Api {
  constructor(token, ended) {
    this.token = token;
    this.ended = ended;
  }

  get(path, query = {}, signal = null) {
    return this.#ask('GET', path + questionOf(query), undefined, signal);
  }

  post(path, body = {}) {
    return this.#ask('POST', path, body);
  }

  remove(path) {
    return this.#ask('DELETE', path);
  }

  // Have the browser save an answer as a file.
  async save(path, query, name) {
    const answer = await send(path + questionOf(query), { headers: this.#headers() });
    if (answer.status === 401) this.ended();
    if (!answer.ok) await read(answer);
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await answer.blob());
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // The answer with its body as a stream.
  stream(path, query, headers, signal) {
    return fetch(path + questionOf(query), { headers: { ...this.#headers(), ...headers }, signal, cache: 'no-store' });
  }

  async #ask(method, path, body, signal) {
    const answer = await send(path, {
      method,
      headers: { ...this.#headers(), ...(body && { 'Content-Type': 'application/json' }) },
      body: body && JSON.stringify(body),
      signal: AbortSignal.any([AbortSignal.timeout(WAIT_MS), ...(signal ? [signal] : [])]),
    });
    if (answer.status === 401) this.ended();
    return read(answer);
  }

  #headers() {
    return { Authorization: `Bearer ${this.token}` };
  }
}

// The answer to a login.
export function logIn(username, password, persist, code) {
  return told('/auth/login', { username, password, persist, code });
}

// A new secret for an authenticator, which is of use after it was confirmed.
export function newAuthenticator(login) {
  return told('/auth/totp', login);
}

export function confirmAuthenticator(login) {
  return told('/auth/totp/confirm', login);
}

async function told(path, body) {
  return read(await send(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(WAIT_MS),
  }));
}

async function send(path, options) {
  try {
    return await fetch(path, { ...options, cache: 'no-store' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refused(0, 'The server does not answer.');
  }
}

async function read(answer) {
  const body = await answer.json().catch(() => null);
  if (answer.ok) return body;
  throw new Refused(answer.status, messageOf(body) ?? `The server answers ${answer.status}.`, body?.error?.code);
}

function messageOf(body) {
  const error = body?.error;
  return error?.inner?.map(({ message }) => message).join('; ') ?? error?.message;
}

function questionOf(query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '' && value !== null);
  return given.length ? `?${new URLSearchParams(given)}` : '';
}
