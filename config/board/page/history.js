// The page of the past calls: found by time, number and result, the newest first.

import { Choice, CustomerChoice } from './filters.js';
import { html, useEffect, useMemo, useState } from './html.js';
import { changeQuery } from './route.js';
import { Steps } from './steps.js';
import { settled, useLoaded, useNews } from './tools.js';
import { lengthOf, momentOf, numberOf, RESULTS, timeOf } from './words.js';

const PATH = '/pbx/call/history';
const PAGE_ROWS = 50;
const TYPING_MS = 300;
const WRITTEN_MS = 2_500; // the server writes calls together, a moment after their end
const MOST_LINES = 10_000;
const MISSED = 'missed'; // several results together

export function History({ board, query }) {
  const change = (changes) => changeQuery('history', changes);
  return html`
    <h1>Call history</h1>
    <${HistoryFilters} ...${{ board, query, change }} />
    <${PastCalls} key=${JSON.stringify(query)} ...${{ board, query }} />`;
}

function HistoryFilters({ board, query, change }) {
  const typed = useMemo(() => settled((number) => change({ number }), TYPING_MS), [JSON.stringify(query)]);
  const results = [['', 'Any'], [MISSED, 'missed'], ...Object.entries(RESULTS)];
  return html`
    <form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label>Number <input type="search" name="number" defaultValue=${query.number}
        onInput=${(event) => typed(event.target.value.trim())} /></label>
      <label>From <input type="datetime-local" name="from" defaultValue=${query.from}
        onChange=${(event) => change({ from: event.target.value })} /></label>
      <label>To <input type="datetime-local" name="to" defaultValue=${query.to}
        onChange=${(event) => change({ to: event.target.value })} /></label>
      <${Choice} label="Result" name="result" options=${results} ...${{ query, change }} />
      ${board.all && html`<${CustomerChoice} ...${{ board, query, change }} />`}
    </form>`;
}

function PastCalls({ board, query }) {
  const [steps, setSteps] = useState([]); // where each page after the first begins
  const asked = { customer: board.all, ...query, from: momentOf(query.from), to: momentOf(query.to) };
  if (query.result === MISSED) Object.assign(asked, { result: '', missed: true });
  const after = steps.at(-1);
  const load = (signal) => board.api.get(PATH, { ...asked, after, limit: PAGE_ROWS }, signal);
  const { value, problem, reload } = useLoaded(load, [after]);
  useNews(board.feed, ({ event }) => event === 'call-ended', reload, WRITTEN_MS, WRITTEN_MS);
  useEffect(() => { // a call that ended just before
    const timer = setTimeout(reload, WRITTEN_MS);
    return () => clearTimeout(timer);
  }, []);
  const [failure, setFailure] = useState('');
  const save = () => board.api.save(PATH, { ...asked, format: 'csv', limit: MOST_LINES }, 'calls.csv')
    .catch((error) => setFailure(error.message));
  return html`
    <p class="problem" role="alert">${problem || failure}</p>
    <p class="count" role="status">${countOf(value, steps.length)}</p>
    ${value?.calls.length > 0 && html`
      <div class="wide" tabindex="0" role="region" aria-label="Past calls"><table>
        <thead><tr>${['Begin', 'From', 'Dialled', 'To', 'Result', 'Rang', 'Talked']
          .map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
        <tbody>${value.calls.map((call) => html`<${PastCall} key=${call._id} ...${{ call }} />`)}</tbody>
      </table></div>
      <${Steps} ...${{ steps, setSteps, next: value.next, save }} />`}`;
}

function PastCall({ call }) {
  const mood = call.result === 'answered' ? 'good' : call.missed ? 'waiting' : 'off';
  return html`<tr>
    <th scope="row">${timeOf(call.startedAt)}</th>
    <td>${partyOf(call.caller)}</td><td>${call.dialled}</td><td>${partyOf(call.callee)}</td>
    <td><span class="mood" data-mood=${mood}>${RESULTS[call.result] ?? call.result}</span>
      ${call.status && html` <small>${call.status} ${call.reason}</small>`}</td>
    <td>${lengthOf(call.ringSeconds)}</td><td>${lengthOf(call.talkSeconds)}</td></tr>`;
}

const partyOf = ({ number, name }) => [number, name !== number && name].filter(Boolean).join(' ');

function countOf(value, steps) {
  if (!value) return 'Loading…';
  if (value.total === null) return `Page ${steps + 1}`;
  return value.total === 1 ? '1 call' : `${numberOf(value.total)} calls`;
}
