// The page of the audit log: who did what to what, what was there before and after, the newest first.

import { Choice, CustomerChoice } from './filters.js';
import { html, useState } from './html.js';
import { addressOf, PHONES, changeQuery } from './route.js';
import { Steps } from './steps.js';
import { useLoaded } from './tools.js';
import { momentOf, timeOf } from './words.js';

const PATH = '/audit';
const PAGE_ROWS = 50;
const MOST_LINES = 10_000;
const PHONE = 'sip_phone';
const TYPES = {
  [PHONE]: 'phone',
  extension: 'extension',
  person: 'wishes of a person',
  employee: 'person',
  employee_token: 'token of a machine',
  sip_group: 'group',
  queue: 'queue',
  customer: 'customer',
  trusted_network: 'network',
  webhook: 'webhook',
  ban: 'ban',
  sip_phone_model: 'model',
  product: 'product',
};
const ACTIONS = {
  create: 'created',
  update: 'changed',
  delete: 'deleted',
  resetcredentials: 'new credentials',
  unlock: 'unlocked for a time',
  acceptaddress: 'new address accepted',
  'first-contact': 'locked to its first address',
  rearm: 'new first URL',
  link: 'link for a softphone',
  configreload: 'told to load its configuration',
  reboot: 'told to restart',
  read: 'passwords were read',
  readsecrets: 'configuration read with its secrets',
  export: 'list taken as a file',
  login: 'logged in',
  logout: 'logged out',
  'login-failed': 'login failed',
};

export function AuditLog({ board, query }) {
  const change = (changes) => changeQuery('audit', changes);
  const options = (words) => [['', 'All'], ...Object.entries(words)];
  return html`
    <h1>Audit log</h1>
    <form class="filters" onSubmit=${(event) => event.preventDefault()}>
      <${Choice} label="About" name="type" options=${options(TYPES)} ...${{ query, change }} />
      <${Choice} label="What" name="action" options=${options(ACTIONS)} ...${{ query, change }} />
      <label>From <input type="datetime-local" name="from" defaultValue=${query.from}
        onChange=${(event) => change({ from: event.target.value })} /></label>
      <label>To <input type="datetime-local" name="to" defaultValue=${query.to}
        onChange=${(event) => change({ to: event.target.value })} /></label>
      ${board.all && html`<${CustomerChoice} ...${{ board, query, change }} />`}
    </form>
    ${query.object && html`<p>Only rows about one object. <a href=${addressOf('audit')}>Show all</a></p>`}
    <${Rows} key=${JSON.stringify(query)} ...${{ board, query }} />`;
}

function Rows({ board, query }) {
  const [steps, setSteps] = useState([]); // where each page after the first begins
  const [failure, setFailure] = useState('');
  const asked = { customer: board.all, ...query, from: momentOf(query.from), to: momentOf(query.to) };
  const after = steps.at(-1);
  const load = (signal) => board.api.get(PATH, { ...asked, after, limit: PAGE_ROWS }, signal);
  const { value, problem } = useLoaded(load, [after]);
  const save = () => board.api.save(PATH, { ...asked, format: 'csv', limit: MOST_LINES }, 'audit.csv')
    .catch((error) => setFailure(error.message));
  return html`
    <p class="problem" role="alert">${problem || failure}</p>
    <p class="count" role="status">${value ? `Page ${steps.length + 1}` : 'Loading…'}</p>
    ${value?.rows.length === 0 && html`<p>No row is like that.</p>`}
    ${value?.rows.length > 0 && html`
      <div class="wide" tabindex="0" role="region" aria-label="Audit log"><table>
        <thead><tr>${['Time', 'Who', 'From', 'What', 'About', 'Changes']
          .map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
        <tbody>${value.rows.map((row) => html`<${Row} key=${row._id} ...${{ row }} />`)}</tbody>
      </table></div>
      <${Steps} ...${{ steps, setSteps, next: value.next, save }} />`}`;
}

function Row({ row }) {
  const { at, employeeName, accessLevel, via, ip, action, type, object, name } = row;
  const about = [TYPES[type] ?? type, name].filter(Boolean).join(' ');
  return html`<tr>
    <th scope="row">${timeOf(at)}</th>
    <td>${employeeName ?? accessLevel} <small>${via}</small></td>
    <td>${ip}</td><td>${ACTIONS[action] ?? action}</td>
    <td>${type === PHONE && object ? html`<a href=${addressOf(`${PHONES}/${object}`)}>${about}</a>` : about}
      ${object && html` <small>${object}</small>`}</td>
    <td class="changes">${changesOf(row).map((line) => html`<div>${line}</div>`)}</td></tr>`;
}

// What was there before and after, a line for each column; parts without an id of their own are counted.
function changesOf({ before, after, parts }) {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const lines = names.map((name) => (name in before
    ? `${name}: ${shown(before[name])} → ${shown(after[name])}` : `${name}: ${shown(after[name])}`));
  return parts.length ? [...lines, `${parts.length} ${parts.length === 1 ? 'part' : 'parts'}`] : lines;
}

function shown(value) {
  if (value === null || value === undefined || value === '') return '–';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
