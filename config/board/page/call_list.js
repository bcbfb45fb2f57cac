// Calls in progress: all of a customer, or those of one phone; each can be ended.

import { Asking } from './dialog.js';
import { html, useEffect, useState } from './html.js';
import { useLoaded, useNews } from './tools.js';
import { lengthOf, numberOf, timeOf } from './words.js';

const MOST = 200;
const NEWS_MS = 500;
const isCall = ({ event }) => event.startsWith('call-');

// `of` is the id of a phone; without it, the list is a page of its own.
export function CallList({ board, query, of = null }) {
  const isKnown = board.may('GET /pbx/call') && (of === null || Boolean(query.customer));
  const load = (signal) => (isKnown ? board.api.get('/pbx/call', { ...query, limit: MOST }, signal) : null);
  const { value, problem, reload } = useLoaded(load, [JSON.stringify(query)]);
  useNews(board.feed, isCall, reload, NEWS_MS);
  const calls = (value?.calls ?? []).filter((call) => of === null || has(call, of));
  if (of !== null && calls.length === 0) return null;
  return html`
    <section class="card" aria-labelledby="calls">
      <h2 id="calls">${of === null ? countOf(value) : 'In a call'}</h2>
      <p class="problem" role="alert">${problem}</p>
      ${value && calls.length === 0 && html`<p class="faint">There is no call.</p>`}
      ${value?.total > MOST && html`<p class="faint">The ${MOST} earliest are shown.</p>`}
      <ul class="calls">${calls.map((call) => html`<${Call} key=${call._id} ...${{ board, call, reload }} />`)}</ul>
    </section>`;
}

function Call({ board, call, reload }) {
  const end = async () => {
    await board.api.remove(`/pbx/call/${call._id}`);
    await reload();
  };
  const both = `${partyOf(call.caller)} and ${partyOf(call.callee)}`;
  return html`<li data-state=${call.state}>
    <span class="parties"><strong>${partyOf(call.caller)}</strong> calls <strong>${partyOf(call.callee)}</strong></span>
    <span class="faint"><${Clock} call=${call} /> · ${[call.caller.transport, call.callee.transport].filter(Boolean)
      .map((word) => word.toUpperCase()).join(' to ')} · ${call.media}</span>
    ${board.may('DELETE /pbx/call/{id}') && html`<${Asking} label="End" kind="end" act=${end}
      question=${`End the call between ${both}?`} detail="Both sides hang up at once." />`}
  </li>`;
}

function Clock({ call }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  if (!call.answeredAt) return html`<span>rings since ${timeOf(call.startedAt)}</span>`;
  return html`<span>talks for ${lengthOf(Math.max(0, (now - Date.parse(call.answeredAt)) / 1000))}</span>`;
}

const has = (call, phone) => [call.caller.phone, call.callee.phone].includes(phone);
const partyOf = ({ number, name }) => (name && name !== number ? `${number} ${name}` : number ?? 'unknown');

function countOf(value) {
  if (!value) return 'Loading…';
  return value.total === 1 ? '1 call' : `${numberOf(value.total)} calls`;
}
