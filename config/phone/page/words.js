// Close codes of the WebSocket (RFC 6455 section 7.4) and answers to REGISTER (RFC 3261 section 21), in plain words.

const CLOSED = {
  1000: 'The server closed the connection.',
  1001: 'The server is going away, it stops or starts again.',
  1002: 'The server did not understand what the browser sent.',
  1003: 'The server takes no messages of this kind.',
  1005: 'The server closed the connection without saying why.',
  1008: 'The server closed the connection because its rules forbid it.',
  1009: 'The server was sent a message that is too large.',
  1011: 'The server met an error of its own.',
  1012: 'The server starts again.',
  1013: 'The server has too much to do; later it may work.',
};

const REFUSED = {
  400: 'The server could not read the request.',
  401: 'Username or password is wrong, or they were replaced by new ones.',
  403: 'The credentials are right, but this phone may not register: its IP restriction does not allow this ' +
    'address, or its customer is blocked. A manager of the phone can set its ip.mode to OPEN.',
  404: 'The server does not know this account.',
  407: 'Username or password is wrong, or they were replaced by new ones.',
  408: 'The server did not answer in time.',
  416: 'The server does not serve this kind of address.',
  423: 'The server wants registrations that last longer.',
  500: 'The server met an error of its own.',
  503: 'The server cannot store registrations at the moment.',
};

// Why the connection is not there.
export function whyClosed(code, wasConnected, server) {
  if (code !== 1006) return CLOSED[code] ?? `The server closed the connection with code ${code}.`;
  if (wasConnected) return 'The connection broke: the server or the network is gone.';
  const doubted = server.startsWith('wss:') ? ' or the browser does not trust the certificate,' : '';
  return `The browser does not tell why: nothing listens there,${doubted} or the server takes no pages from here.`;
}

// The page of the server where a certificate can be accepted; empty when that would not help.
export function certificatePage(code, wasConnected, server) {
  if (code !== 1006 || wasConnected || !server.startsWith('wss:')) return '';
  return `https://${new URL(server).host}/`;
}

// What an answer to REGISTER means; 0 stands for none. `said` is what the server adds in its own words.
export function whyRefused(status, said) {
  if (status === 0) return 'The server did not answer in time.';
  if (status === 403 && said) return 'The server does not let this phone register.';
  if (status in REFUSED) return REFUSED[status];
  return status >= 500 ? 'The server has a problem of its own.' : 'The server refused the registration.';
}

// The reason that the server gives in its own words, in a Warning (RFC 3261 section 20.43); empty when it gives none.
export function serverSays(answer) {
  const said = /^\d{3} \S+ +"((?:[^"\\]|\\.)+)"/.exec(answer?.getHeader('warning') ?? '')?.[1];
  return said ? ` The server says: ${said.replaceAll(/\\(.)/g, '$1').replace(/\.$/, '')}.` : '';
}

// Whether the server took the end of the registration; null: it was not asked, nothing was registered.
export function whyUnregistered(status) {
  if (status === null || status === 200) return 'It stays so until you press Register.';
  const answer = status || 'no answer';
  return `The server did not confirm the end (${answer}): it may list this phone until its time is over.`;
}

// What the lamp of a number shows.
export const SHOWN = {
  free: 'free',
  rings: 'rings',
  talks: 'in a call',
  unknown: 'not known',
};

// What is wrong with a number that was entered; empty when nothing is.
export function numberProblem(number) {
  return /^[\w.+*#-]+$/.test(number) ? '' : 'A number has letters, digits and + * # . - _ alone.';
}

// Whether the same request may well succeed a little later.
export function passesByItself(status) {
  return status === 0 || status === 408 || status >= 500;
}
