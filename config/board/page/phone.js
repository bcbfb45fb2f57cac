// One phone: a sentence that says how it is, what happened to it, where it is bound, and what can be done.

import { Account } from './account.js';
import { Actions } from './actions.js';
import { CallList } from './call_list.js';
import { html, useState } from './html.js';
import { Bindings, Journal } from './journal.js';
import { HAPPENS_TO_PHONES } from './phones.js';
import { Provisioning } from './provisioning.js';
import { addressOf, PHONES } from './route.js';
import { useLoaded, useNews } from './tools.js';
import { addressAndPort, localised, stateOf, timeOf } from './words.js';

const NEWS_MS = 500;
const PROVISIONING = 'GET /pbx/sipphone/{id}/provisioning';

export function Phone({ board, id }) {
  const path = `/pbx/sipphone/${id}`;
  const account = useLoaded((signal) => board.api.get(`${path}/account`, {}, signal), [id]);
  const events = useLoaded((signal) => board.api.get(`${path}/events`, {}, signal), [id]);
  const bindings = useLoaded((signal) => board.api.get(`${path}/bindings`, {}, signal), [id]);
  const [isShown, setShown] = useState(false);
  const reload = () => Promise.all([account, events, bindings].map((one) => one.reload()));
  const concerns = (event) => event.phone === id && HAPPENS_TO_PHONES.has(event.event);
  useNews(board.feed, concerns, reload, NEWS_MS);
  return html`
    <p><a href=${addressOf(PHONES)}>All phones</a></p>
    <h1>${titleOf(account.value)}</h1>
    <p class="faint">${account.value?.customer.name}</p>
    <p class="problem" role="alert">${account.problem || events.problem}</p>
    ${events.value && html`<${State} ...${events.value} />`}
    ${account.value && events.value && html`<${Actions} ...${{ board, id, reload }} account=${account.value}
      status=${events.value.status} show=${() => setShown(true)} />`}
    ${isShown && html`<${Account} account=${account.value} close=${() => setShown(false)} />`}
    ${account.value && events.value && board.may(PROVISIONING) && html`<${Provisioning} ...${{ board, id, reload }}
      account=${account.value} status=${events.value.status} />`}
    ${account.value && html`<${CallList} board=${board} of=${id}
      query=${{ customer: account.value.customer._id, extension: account.value.number }} />`}
    <${Bindings} bindings=${bindings.value?.bindings} />
    <${Journal} events=${events.value?.events} />
    ${account.value && board.may('GET /audit') && html`<p><a href=${addressOf('audit', { object: id,
      customer: account.value.customer._id })}>What people did with this phone</a></p>`}`;
}

function State({ summary, status }) {
  const { mood, state, reason } = stateOf(status);
  const facts = [
    ['Since', timeOf(status.since)],
    ['Address', addressAndPort(status.publicIpAddress, status.publicPort)],
    ['Country', status.country],
    ['Transport', status.transport?.toUpperCase()],
    ['User agent', status.userAgent],
    ['Round trip', status.rttMs && `${Math.round(status.rttMs)} ms`],
    ['Last heard', timeOf(status.lastSeen)],
    ['Server process', status.node],
  ].filter(([, value]) => value);
  return html`
    <section class="card state" data-mood=${mood} aria-labelledby="state">
      <h2 id="state">State</h2>
      <p class="headline">${state}${reason && `: ${reason}`}</p>
      <p class="sentence">${localised(summary)}</p>
      <dl>${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
    </section>`;
}

function titleOf(phone) {
  if (!phone) return 'Phone';
  return [phone.number ?? 'Phone without a number', phone.person].filter(Boolean).join(', ');
}
