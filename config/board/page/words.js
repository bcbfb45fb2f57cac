// The words for people: states, reasons, times.

export const REASONS = {
  registered: 'registered',
  unregistered: 'signed off',
  expired: 'registration expired',
  'socket-closed': 'connection closed',
  'ping-timeout': 'does not answer',
  revoked: 'revoked',
  'ip-rejected': 'address refused',
  'node-lost': 'server process lost',
};
export const TRANSPORTS = ['udp', 'tcp', 'tls', 'ws', 'wss'];
const REFUSALS = {
  'wrong-password': 'wrong password',
  'ip-locked': 'locked to another address',
  'untrusted-network': 'not a trusted network',
  'country-refused': 'country not allowed',
  'country-unknown': 'country not known',
  'no-country-file': 'no country file',
  'proxy-address': 'address of a proxy',
  'customer-inactive': 'customer blocked',
};
const WAYS = {
  'first-contact': 'at its first contact',
  'first-secret': 'with its first secret',
  'steady-secret': 'with its own secret',
  'device-token': 'with the token of the device',
  'one-time-link': 'by a link',
};
export const RESULTS = {
  answered: 'answered',
  'answered-elsewhere': 'answered by another person',
  'no-answer': 'no answer',
  busy: 'busy',
  declined: 'declined',
  cancelled: 'cancelled by the caller',
  unreachable: 'no phone could be reached',
  'not-found': 'number does not exist',
  forbidden: 'not allowed',
  lost: 'lost while it rang',
  ended: 'ended here while it rang',
  emergency: 'emergency call, no way out',
  feature: 'feature code',
};
export const SOFTPHONES = {
  linphone: 'Linphone',
  acrobits: 'Groundwire (Acrobits)',
  gswave: 'Grandstream Wave',
  microsip: 'MicroSIP',
  baresip: 'baresip',
  device: 'Another program (JSON)',
};
const PROVISIONING = {
  new: 'The phone has no URL yet. Make one, and enter it in the phone.',
  armed: 'The first URL waits for the phone.',
  loading: 'The phone has begun to load its configuration.',
  closed: 'The phone did not load its configuration in time. Make a new first URL.',
};
const EVENTS = {
  registered: 'Registered',
  moved: 'Moved to another address',
  unregistered: 'Signed off',
  expired: 'Registration expired',
  lost: 'Connection lost',
  rejected: 'Refused',
  locked: 'Locked to its address',
  revoked: 'Revoked',
  configured: 'Configuration loaded',
  'config-refused': 'Configuration refused',
  created: 'Created',
  updated: 'Settings changed',
  reset: 'New credentials',
  unlocked: 'Unlocked for a time',
  accepted: 'New address accepted',
  'locked-again': 'Locked again',
  rearmed: 'Armed to load its configuration',
  expected: 'Expected for an hour',
  rotated: 'New secrets for its configuration',
  linked: 'Link for a softphone made',
  'secrets-read': 'Its configuration was read with the secrets',
  'reload-asked': 'Told to load its configuration',
  'reboot-asked': 'Told to restart',
};

// A reason of a refusal in words; one that a newer server has is shown as it is.
export const refusalOf = (reason) => REFUSALS[reason] ?? reason ?? '';

// Why or how an event came about.
export const causeOf = (reason) => REASONS[reason] ?? WAYS[reason] ?? refusalOf(reason);

// An event in words.
export const eventOf = (name) => EVENTS[name] ?? name;

// What a phone is: { mood, state, reason }. `status.online` is null while the server does not know.
export function stateOf(status) {
  if (!status || status.online === null || status.online === undefined) {
    return { mood: 'off', state: 'Unknown', reason: 'the live store is away' };
  }
  if (status.online) return { mood: 'good', state: 'Online', reason: '' };
  if (!status.reason) return { mood: 'off', state: 'Never registered', reason: '' };
  const reason = REASONS[status.reason] ?? status.reason;
  return { mood: status.reason === 'unregistered' ? 'off' : 'bad', state: 'Offline', reason };
}

// How far the provisioning of a phone is, in a sentence.
export function provisioningOf({ state }, { configSaved, configLoaded }) {
  if (PROVISIONING[state]) return PROVISIONING[state];
  if (!configLoaded) return 'The phone has not loaded its configuration.';
  if (configSaved > configLoaded) return 'The phone has not loaded the last changes.';
  return 'The phone has its present configuration.';
}

// A time: of today the clock alone.
export function timeOf(moment) {
  if (!moment) return '';
  const time = new Date(moment);
  const clock = time.toLocaleTimeString([], { hour12: false });
  if (time.toDateString() === new Date().toDateString()) return clock;
  return `${time.toLocaleDateString([], { day: 'numeric', month: 'short', year: 'numeric' })}, ${clock}`;
}

// A time of a field, which has no zone, as the API reads it.
export function momentOf(local) {
  return local ? new Date(local).toISOString() : '';
}

const MOMENTS = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g;

// A sentence of the server with its times as they are here.
export const localised = (sentence) => sentence.replace(MOMENTS, timeOf);

// Seconds as minutes and seconds.
export function lengthOf(seconds) {
  if (seconds === null || seconds === undefined) return '';
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

// An address with its port.
export function addressAndPort(ip, port) {
  if (!ip) return '';
  const host = ip.includes(':') ? `[${ip}]` : ip;
  return port ? `${host}:${port}` : host;
}

// A number of things.
export const numberOf = (count) => (count === null || count === undefined ? '–' : count.toLocaleString('en'));
