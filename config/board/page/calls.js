// The page of the calls in progress.

import { CallList } from './call_list.js';
import { CustomerChoice } from './filters.js';
import { html } from './html.js';
import { changeQuery } from './route.js';

export function Calls({ board, query }) {
  const change = (changes) => changeQuery('calls', changes);
  return html`
    <h1>Calls in progress</h1>
    ${board.all && html`<form class="filters"><${CustomerChoice} ...${{ board, query, change }} /></form>`}
    <${CallList} board=${board} query=${{ customer: query.customer ?? board.all }} />`;
}
