// The page of security: who is banned, and who was turned away, from where, and why.

import { Bans } from './bans.js';
import { CustomerChoice } from './filters.js';
import { html } from './html.js';
import { addressOf, PHONES, changeQuery } from './route.js';
import { useLoaded, useNews } from './tools.js';
import { numberOf, refusalOf, timeOf } from './words.js';

const NEWS_MS = 2_000;
const MOST = 200;
const MOST_NAMED = 10; // the server names so many phones of an address
const ID = /^[0-9a-f]{24}$/;

export function Security({ board, query }) {
  const customer = query.customer ?? board.all;
  const load = (signal) => board.api.get('/pbx/sipphone/refusals', { customer, limit: MOST }, signal);
  const { value, problem, reload } = useLoaded(load, [customer]);
  useNews(board.feed, ({ event }) => event === 'rejected', reload, NEWS_MS);
  const change = (changes) => changeQuery('security', changes);
  return html`
    <h1>Security</h1>
    ${board.all && html`<form class="filters"><${CustomerChoice} ...${{ board, query, change }} /></form>`}
    ${board.may('GET /pbx/ban') && html`<${Bans} board=${board} customer=${customer} />`}
    <h2>Refusals of the last day</h2>
    <p class="problem" role="alert">${problem}</p>
    ${value?.length === 0 && html`<p>Nothing was refused.</p>`}
    ${value?.length >= MOST && html`<p class="faint">The ${MOST} addresses that were refused last are shown.</p>`}
    ${value?.length > 0 && html`
      <div class="wide" tabindex="0" role="region" aria-label="Refusals by address"><table>
        <thead><tr>${['Address', 'Country', 'How often', 'Why', 'Phones', 'First', 'Last']
          .map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
        <tbody>${value.map((one) => html`<${Refusal} key=${one.address} ...${one} />`)}</tbody>
      </table></div>`}`;
}

function Refusal({ address, country, reasons, phones, numbers, count, first, last }) {
  const why = Object.entries(reasons).map(([word, times]) => `${refusalOf(word)} (${numberOf(times)})`).join(', ');
  return html`<tr>
    <th scope="row">${address || 'unknown'}</th><td>${country}</td><td>${numberOf(count)}</td><td>${why}</td>
    <td><${Tried} ...${{ phones, numbers }} /></td><td>${timeOf(first)}</td><td>${timeOf(last)}</td></tr>`;
}

// The phones that were tried; a SIP user has no page here.
function Tried({ phones, numbers }) {
  return html`${phones.map((phone, place) => (ID.test(phone)
    ? html`<a key=${phone} href=${addressOf(`${PHONES}/${phone}`)}>${numbers[place] ?? 'no number'}</a> `
    : html`<span key=${phone}>SIP user</span> `))}
    ${phones.length >= MOST_NAMED && html`<small>at most ${MOST_NAMED} are named</small>`}`;
}
