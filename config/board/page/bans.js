// The bans and holds on the page of security: who is shut out until when, and the button that lifts one.

import { Asking } from './dialog.js';
import { html } from './html.js';
import { useLoaded, useNews } from './tools.js';
import { numberOf, timeOf } from './words.js';

const NEWS_MS = 1_000;
const MOST = 200;
const WHY = {
  'wrong-passwords': 'too many wrong passwords',
  'many-names': 'tried many names with wrong passwords',
  guessing: 'went on guessing passwords',
};

export function Bans({ board, customer }) {
  const load = (signal) => board.api.get('/pbx/ban', { customer, limit: MOST }, signal);
  const { value, problem, reload } = useLoaded(load, [customer]);
  useNews(board.feed, ({ event }) => event === 'banned' || event === 'unbanned', reload, NEWS_MS);
  const lift = ({ _id }) => async () => {
    await board.api.remove(`/pbx/ban/${_id}`);
    await reload();
  };
  return html`
    <h2>Bans</h2>
    <p class="problem" role="alert">${problem}</p>
    ${value?.bans.length === 0 && html`<p>No address and no phone is banned.</p>`}
    ${value?.total > MOST && html`<p class="faint">The ${MOST} newest of ${numberOf(value.total)} are shown.</p>`}
    ${value?.bans.length > 0 && html`
      <div class="wide" tabindex="0" role="region" aria-label="Bans"><table>
        <thead><tr>${['Address', 'Phone', 'Why', 'By', 'Since', 'Until', '']
          .map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
        <tbody>${value.bans.map((ban) => html`<${Row} key=${ban._id} ...${{ board, ban, lift: lift(ban) }} />`)}</tbody>
      </table></div>`}`;
}

function Row({ board, ban, lift }) {
  const { address, phone, number, why, by, since, until, kind } = ban;
  const what = kind === 'hold' ? 'no password is checked' : 'is shut out';
  return html`<tr>
    <th scope="row">${address ?? 'everywhere'}</th><td>${phone ? number ?? phone : 'all'}</td>
    <td>${WHY[why] ?? why} (${what})</td><td>${by}</td><td>${timeOf(since)}</td>
    <td>${until ? timeOf(until) : 'lifted by hand'}</td>
    <td>${board.may('DELETE /pbx/ban/{id}') && html`<${Asking} label="Lift" act=${lift}
      question=${`Let ${phone ? `phone ${number ?? phone}` : address} in again?`}
      detail="It may try again at once, on all nodes." />`}</td></tr>`;
}
