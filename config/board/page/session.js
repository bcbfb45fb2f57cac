// The login: its token, and what it may do.
//
// The token is in sessionStorage. A reload keeps it, and a board on a wall survives one; another tab does not have it,
// and it ends with the tab. It is sent in a header only, never in a URL, which logs and histories keep. The policy of
// this page runs no script but its own.

const KEY = 'registrar.board';
const { levels, rules } = document.body.dataset;
const LEVELS = levels.split(' ');
const RULES = JSON.parse(rules);

// The login of this tab, or null.
export function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

export function keep(session) {
  sessionStorage.setItem(KEY, JSON.stringify(session));
}

export function forget() {
  sessionStorage.removeItem(KEY);
}

// Whether a level is at least another one.
export function reaches(level, least) {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(least);
}

// Whether this login may call a route, as the server's own table says: 'DELETE /pbx/call/{id}'.
export function may(session, route) {
  return route in RULES && reaches(session.level, RULES[route]);
}

// The login in an answer of /auth/login.
export function sessionOf({ token, accessLevel, customer, name }, email) {
  return { token, level: accessLevel, customer, name, email };
}
