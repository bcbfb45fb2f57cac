// The page of the refusals: who was turned away, from where, and why.

import { CustomerChoice } from './filters.js';
import { html } from './html.js';
import { addressOf, PHONES, replaceQuery } from './route.js';
import { useLoaded, useNews } from './tools.js';
import { numberOf, refusalOf, timeOf } from './words.js';

const NEWS_MS = 2_000;
const MOST_PHONES = 5;

export function Security({ board, query }) {
  const customer = query.customer ?? board.all;
  const load = (signal) => board.api.get('/pbx/sipphone/refusals', { customer }, signal);
  const { value, problem, reload } = useLoaded(load, [customer]);
  useNews(board.feed, ({ event }) => event === 'rejected', reload, NEWS_MS);
  const change = (changes) => replaceQuery('security', { ...query, ...changes });
  return html`
    <h1>Refused in the last hour</h1>
    ${board.all && html`<form class="filters"><${CustomerChoice} ...${{ board, query, change }} /></form>`}
    <p class="problem" role="alert">${problem}</p>
    ${value?.refusals.length === 0 && html`<p>Nothing was refused.</p>`}
    ${value?.refusals.length > 0 && html`
      <div class="wide" tabindex="0" role="region" aria-label="Refusals by address"><table>
        <thead><tr>${['Address', 'Country', 'How often', 'Why', 'Phones', 'First', 'Last']
          .map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
        <tbody>${value.refusals.map((one) => html`<${Refusal} key=${one.address} ...${one} />`)}</tbody>
      </table></div>`}`;
}

function Refusal({ address, country, reasons, phones, count, first, last }) {
  const why = Object.entries(reasons).map(([word, times]) => `${refusalOf(word)} (${numberOf(times)})`).join(', ');
  return html`<tr>
    <th scope="row">${address || 'unknown'}</th><td>${country}</td><td>${numberOf(count)}</td><td>${why}</td>
    <td><${Phones} phones=${phones} /></td><td>${timeOf(first)}</td><td>${timeOf(last)}</td></tr>`;
}

function Phones({ phones }) {
  const more = phones.length - MOST_PHONES;
  return html`${phones.slice(0, MOST_PHONES).map(({ _id, number }) => html`<a href=${addressOf(`${PHONES}/${_id}`)}>
    ${number ?? _id}</a> `)}${more > 0 && `and ${numberOf(more)} more`}`;
}
