// The figures above the table; each leads to what it counts.

import { html } from './html.js';
import { addressOf, PHONES } from './route.js';
import { numberOf } from './words.js';

const TILES = [
  ['Online', 'online', 'good', (customer) => addressOf(PHONES, { state: 'registered', customer })],
  ['Offline', 'offline', 'bad', (customer) => addressOf(PHONES, { state: 'offline', customer })],
  ['Never registered', 'neverRegistered', 'off', (customer) => addressOf(PHONES, { state: 'never', customer })],
  ['Refused in the last hour', 'refusedLastHour', 'waiting', (customer) => addressOf('security', { customer })],
  ['Wrong passwords in the last hour', 'wrongPasswordsLastHour', 'waiting',
    (customer) => addressOf('security', { customer })],
  ['Calls', 'calls', 'accent', (customer) => addressOf('calls', { customer })],
];

export function Tiles({ summary, customer }) {
  return html`${summary?.complete === false && html`<p class="faint">The server still counts: the figures grow.</p>`}
    <ul class="tiles" aria-label="In figures">
    ${TILES.map(([label, name, mood, address]) => html`<li data-mood=${mood} data-tile=${name}>
      <a href=${address(customer)}><strong>${numberOf(summary?.[name])}</strong> <span>${label}</span></a>
    </li>`)}
  </ul>`;
}
