// What the table shows: search, filters and order.

import { html, useMemo } from './html.js';
import { settled, useLoaded } from './tools.js';
import { numberOf, REASONS, TRANSPORTS } from './words.js';

const TYPING_MS = 300;
const MOST_CUSTOMERS = 1_000;
const STATES = [['registered', 'Online', 'online'], ['offline', 'Offline', 'offline'],
  ['never', 'Never registered', 'neverRegistered']];
const SORTS = [['', 'Oldest first'], ['number', 'Number'], ['person', 'Person'], ['model', 'Model']];

// `change(changes)` is called with what is different now.
export function Filters({ board, query, summary, change }) {
  const typed = useMemo(() => settled((text) => change({ filter: text }), TYPING_MS), [JSON.stringify(query)]);
  const counted = (name, count) => (count === undefined ? name : `${name} (${numberOf(count)})`);
  const states = STATES.map(([word, name, figure]) => [word, counted(name, summary?.[figure])]);
  const reasons = Object.entries(REASONS).filter(([word]) => word !== 'registered')
    .map(([word, name]) => [word, counted(name, summary?.reasons?.[word])]);
  const transports = TRANSPORTS.map((word) => [word, counted(word.toUpperCase(), summary?.transports?.[word])]);
  return html`
    <form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label class="search">Search <input type="search" name="filter" defaultValue=${query.filter}
        placeholder="number, person, address, MAC" onInput=${(event) => typed(event.target.value.trim())} /></label>
      <${Choice} label="State" name="state" options=${[['', 'All'], ...states]} ...${{ query, change }} />
      <${Choice} label="Reason" name="reason" options=${[['', 'Any'], ...reasons]} ...${{ query, change }} />
      <${Choice} label="Transport" name="transport" options=${[['', 'Any'], ...transports]} ...${{ query, change }} />
      ${board.all && html`<${CustomerChoice} ...${{ board, query, change }} />`}
      <${Choice} label="Order" name="sort" options=${SORTS} ...${{ query, change }} />
    </form>`;
}

export function Choice({ label, name, options, query, change }) {
  return html`<label>${label} <select name=${name} value=${query[name] ?? ''}
    onChange=${(event) => change({ [name]: event.target.value })}>
    ${options.map(([value, words]) => html`<option key=${value} value=${value}
      selected=${value === (query[name] ?? '')}>${words}</option>`)}
  </select></label>`;
}

// The customers that the login may see, for those who see several.
export function CustomerChoice({ board, query, change }) {
  const load = (signal) => board.api.get('/customer', { sort: 'name', limit: MOST_CUSTOMERS }, signal);
  const { value } = useLoaded(load, []);
  const customers = (value?.customers ?? []).map(({ _id, name }) => [_id, name]);
  return html`<${Choice} label="Customer" name="customer" options=${[['', 'All'], ...customers]}
    ...${{ query, change }} />`;
}
