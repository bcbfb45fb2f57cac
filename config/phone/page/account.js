// The account: out of the link's fragment, which no server ever sees, or out of the form.
//
// A link may also name ICE servers for the sound: `ice`, a JSON list as RTCPeerConnection takes it.

const FIELDS = ['username', 'password', 'domain', 'server'];
const KEPT = 'registrar-phone-account';
const LINKED = 'registrar-phone-link';

// Take the account out of the link, and the link's fragment out of the address bar and the history: it holds a
// password. Null when the link names no account.
export function fromLink() {
  const named = new URLSearchParams(location.hash.slice(1));
  if (!FIELDS.some((name) => named.has(name))) return null;
  history.replaceState(null, '', location.pathname);
  return accountOf((name) => named.get(name) ?? '');
}

// The account whose parts `value(name)` gives. JsSIP wants the scheme in small letters.
export function accountOf(value) {
  const account = Object.fromEntries([...FIELDS, 'ice'].map((name) => [name, value(name).trim()]));
  return { ...account, server: account.server.replace(/^wss?:/i, (scheme) => scheme.toLowerCase()) };
}

// Reload the page for an account of a link that came while the page was open.
export function openAnew(account) {
  store(LINKED, account);
  location.reload();
}

// The account that `openAnew` was called with; null when it was not.
export function fromLinkBefore() {
  const account = stored(LINKED);
  sessionStorage.removeItem(LINKED);
  return account;
}

// The account that this tab has registered, or null.
export function kept() {
  return stored(KEPT);
}

// Keep it for a reload of this tab; it ends with the tab.
export function keep(account) {
  store(KEPT, account);
}

export function forget() {
  sessionStorage.removeItem(KEPT);
}

function store(key, account) {
  sessionStorage.setItem(key, JSON.stringify(account));
}

function stored(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}

// Whether two URLs name the same server.
export function isSameServer(one, other) {
  return URL.canParse(one) && URL.canParse(other) && new URL(one).origin === new URL(other).origin;
}

// What is wrong with the account, in one sentence; empty when nothing is.
export function problem(account) {
  const missing = FIELDS.filter((name) => !account[name]);
  if (missing.length > 0) return `The account has no ${missing.join(', no ')}.`;
  if (!/^[A-Za-z0-9_.!~*'()+-]+$/.test(account.username)) {
    return 'The username contains characters that are not allowed.';
  }
  if (!/^[A-Za-z0-9.-]+$/.test(account.domain)) return 'The domain is not a host name.';
  if (!isWebSocket(account.server)) return 'The server must read wss://host:port (or ws://host:port).';
  if (location.protocol === 'https:' && account.server.startsWith('ws:')) {
    return 'A page that came by https may only use wss.';
  }
  if (iceServers(account) === null) return 'The ICE servers (ice) are no JSON list of {urls, username, credential}.';
  return '';
}

// The servers that help the sound to find its way; null when the link names something else.
export function iceServers({ ice = '' }) {
  if (!ice) return [];
  try {
    const servers = JSON.parse(ice);
    new RTCPeerConnection({ iceServers: servers }).close();
    return servers;
  } catch {
    return null;
  }
}

function isWebSocket(text) {
  return URL.canParse(text) && ['ws:', 'wss:'].includes(new URL(text).protocol);
}

// RFC 5626: the same device after a reload, so that its new registration replaces the one before.
export function instanceId(username) {
  const key = `registrar-phone-instance-${username}`;
  const known = localStorage.getItem(key);
  if (known) return known;
  const made = newUuid();
  localStorage.setItem(key, made);
  return made;
}

// crypto.randomUUID is missing on a page that came by http from another machine.
function newUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
