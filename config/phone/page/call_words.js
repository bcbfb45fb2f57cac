// How a call ended, in plain words: answers to INVITE (RFC 3261 section 21) and the causes of JsSIP.

import { serverSays } from './words.js';

const ANSWERED = {
  401: 'Username or password is wrong, or they were replaced by new ones.',
  403: 'The server does not allow this call.',
  404: 'There is no such number.',
  407: 'Username or password is wrong, or they were replaced by new ones.',
  408: 'There was no answer in time.',
  410: 'There is no such number any more.',
  415: 'The other side does not understand the call.',
  480: 'No phone with this number is online.',
  482: 'The call went round in a circle.',
  483: 'The call was passed on too often.',
  484: 'The number is not complete.',
  486: 'Busy.',
  487: 'The call was cancelled.',
  488: 'The two phones have no kind of sound in common.',
  500: 'The server met an error of its own.',
  503: 'The server cannot put calls through at the moment.',
  513: 'The call was too large for the server.',
  600: 'Busy.',
  603: 'The call was declined.',
  604: 'There is no such number.',
  606: 'The two phones have no kind of sound in common.',
};

const SAID = { // where the reason phrase tells more than the status
  'Do Not Disturb': 'The person does not want to be disturbed.',
  'Nothing To Pick Up': 'No call rings there.',
};

const CAUSES = {
  'Connection Error': 'There is no connection to the server.',
  'Request Timeout': 'The server did not answer in time.',
  'No Answer': 'There was no answer in time.',
  'No ACK': 'The other side answered, but was not heard of again.',
  'RTP Timeout': 'The sound found no way between the two sides: a firewall may be in between.',
  'WebRTC Error': 'The browser could not set the sound up.',
  'Bad Media Description': 'The browser does not understand the sound that the other side wants.',
  'Missing SDP': 'The other side did not say what sound it wants.',
  Expires: 'There was no answer in time.',
};

// Why no call came about; the event is JsSIP's `failed`.
export function whyFailed({ originator, message, cause }, incoming) {
  if (cause === 'Canceled') return incoming ? whyTakenBack(message) : 'You hung up before the call was answered.';
  if (cause === 'Rejected' && originator === 'local') return 'You declined the call.';
  const status = message?.status_code;
  if (!status) return CAUSES[cause] ?? `The call failed: ${cause}.`;
  if (isDone(message)) return `${message.reason_phrase}.`;
  return whyAnswered(status, message.reason_phrase) + serverSays(message);
}

// Why a call is over; the event is JsSIP's `ended`.
export function whyEnded({ originator, message, cause }) {
  if (cause === 'WebRTC Error') return 'Hold or resume did not work, and the call ended with it.';
  if (cause !== 'Terminated') return CAUSES[cause] ?? `The call ended: ${cause}.`;
  if (originator === 'local') return 'You hung up.';
  const said = /\btext="([^"]+)"/.exec(message?.getHeader('reason') ?? '')?.[1];
  return said ? `The call was ended: ${said}.` : 'The other side hung up.';
}

// What a final answer means.
export function whyAnswered(status, reason) {
  if (reason in SAID) return SAID[reason];
  if (status in ANSWERED) return ANSWERED[status];
  if (status >= 600) return `The call was declined (${status} ${reason}).`;
  return status >= 500 ? `The server has a problem of its own (${status} ${reason}).` : `${status} ${reason}.`;
}

// What a feature code led to, by JsSIP's `failed`; `done` when it did what it is for.
export function codeSays(event) {
  if (event === null) return { done: false, said: 'The server does not know this feature code.' };
  return { done: isDone(event.message), said: whyFailed(event, false) };
}

// A feature code ends its call with a refusal that says it was served.
function isDone(answer) {
  return answer?.status_code === 480 && /^SIP\s*;\s*cause=200\b/i.test(answer.getHeader('reason') ?? '');
}

// Whether the answer promises the call that was picked up.
export function isPickedUp(answer) {
  return isDone(answer) && answer.reason_phrase === 'Picked Up';
}

// Whether an incoming call was missed; the event is JsSIP's `failed`.
export function isMissed({ originator, message, cause }) {
  if (cause === 'Canceled') return !isElsewhere(message);
  return !(cause === 'Rejected' && originator === 'local');
}

function isElsewhere(cancel) {
  return /\bcause\s*=\s*200\b/.test(cancel?.getHeader('reason') ?? '');
}

// RFC 3326: the other phones of a number are told when one of them has answered.
function whyTakenBack(cancel) {
  return isElsewhere(cancel) ? 'Another phone answered.' : 'A missed call: the caller hung up.';
}

// What a transfer to a number tells on its way: the handlers of JsSIP's `refer`.
export function transferSays(number, tell) {
  return {
    requestFailed: ({ response, cause }) => {
      const why = response ? whyAnswered(response.status_code, response.reason_phrase) : `${cause}.`;
      tell(`The transfer was refused: ${why}${serverSays(response)}`);
    },
    progress: () => tell(`transferring, ringing at ${number}`),
    failed: ({ status_line: line }) => {
      tell(`The transfer failed: ${whyAnswered(line.status_code, line.reason_phrase)}`);
    },
  };
}
