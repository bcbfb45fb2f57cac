// One phone as a row of the table.

import { html } from './html.js';
import { addressOf, PHONES } from './route.js';
import { addressAndPort, refusalOf, stateOf, timeOf } from './words.js';

// The mood of a row.
export const moodOf = (row) => stateOf(row.status).mood;

// Name, class and content of each column.
export const COLUMNS = [
  ['Number', 'number', (row) => html`<a href=${addressOf(`${PHONES}/${row._id}`)} data-id=${row._id}>
    ${row.extension?.number ?? 'no number'}</a>`],
  ['Person', 'person', (row) => html`<span>${row.employee?.name ?? row.extension?.name}</span>
    <small>${row.customer?.name}</small>`],
  ['State, reason, since', 'state', state],
  ['Address', 'address', (row) => html`<span>${place(row.status)}</span>
    <small>${country(row.status)}</small>`],
  ['Transport', 'transport', (row) => row.status?.transport],
  ['Round trip', 'rtt', (row) => roundTrip(row.status)],
  ['Model', 'model', (row) => [row.sipPhoneModel?.brandName, row.sipPhoneModel?.model].filter(Boolean).join(' ')],
  ['User agent', 'agent', (row) => row.status?.userAgent],
];

function state(row) {
  const { mood, state: word, reason } = stateOf(row.status);
  return html`<span class="mood" data-mood=${mood}>${word}${reason && `: ${reason}`}</span>
    <small>${since(row.status)}${refused(row.status)}</small>`;
}

function since(status) {
  return status?.since ? `since ${timeOf(status.since)}` : '';
}

// A refusal after the phone has come into its state.
function refused(status) {
  if (!status?.lastRejectedAt || (status.since && status.lastRejectedAt < status.since)) return '';
  return ` · refused ${timeOf(status.lastRejectedAt)}: ${refusalOf(status.lastRejectedReason)}`;
}

function place(status) {
  return addressAndPort(status?.publicIpAddress, status?.publicPort);
}

function country(status) {
  return status?.country ?? '';
}

function roundTrip(status) {
  return status?.online && status.rttMs !== undefined && status.rttMs !== null ? `${Math.round(status.rttMs)} ms` : '';
}
