// The page of the phones: figures, filters, and the table that follows what happens.

import { Filters } from './filters.js';
import { html, useEffect, useMemo, useState } from './html.js';
import { Pages } from './pages.js';
import { COLUMNS, moodOf } from './phone_row.js';
import { addressOf, PHONES, changeQuery } from './route.js';
import { LongTable } from './table.js';
import { Tiles } from './tiles.js';
import { useLoaded, useMedia, useNews } from './tools.js';
import { numberOf } from './words.js';

export const HAPPENS_TO_PHONES = new Set(
  ['registered', 'moved', 'unregistered', 'expired', 'lost', 'rejected', 'locked', 'revoked', 'configured',
    'config-refused'],
);
const LIVE_FILTERS = ['state', 'reason', 'transport'];
const SUMMARY_MS = 1_000;
const RELOAD_MS = 60_000; // a phone that was created or got another number makes no event
const WIDE = '(min-width: 60rem)';
const WIDE_ROW = 52;
const NARROW_ROW = 132;

export function Phones({ board, query }) {
  const customer = query.customer ?? board.all;
  const summary = useLoaded((signal) => board.api.get('/pbx/sipphone/summary', { customer }, signal), [customer]);
  useNews(board.feed, () => true, summary.reload, SUMMARY_MS);
  const isWide = useMedia(WIDE);
  const [rows, version] = useRows(board, query);
  const change = (changes) => changeQuery(PHONES, changes);
  const open = (id) => { location.hash = addressOf(`${PHONES}/${id}`); };
  return html`
    <h1>Phones</h1>
    <${Tiles} summary=${summary.value} customer=${query.customer} />
    <${Filters} board=${board} query=${query} summary=${summary.value} change=${change} />
    <p class="count" role="status">${countOf(rows)}</p>
    <p class="problem" role="alert">${rows.problem || summary.problem}</p>
    <div onClick=${(event) => opened(event, open)}>
      <${LongTable} label="Phones" columns=${COLUMNS} rows=${rows} keyOf=${(row) => row._id} moodOf=${moodOf}
        version=${version} height=${isWide ? WIDE_ROW : NARROW_ROW} />
    </div>`;
}

// The rows for a query, and a number that grows with each change of them.
function useRows(board, query) {
  const [version, setVersion] = useState(0);
  const asked = JSON.stringify(query);
  const rows = useMemo(() => {
    const load = async (offset, limit, signal) => {
      const wanted = { customer: board.all, ...query, status: true, offset, limit };
      const { total, sipPhones } = await board.api.get('/pbx/sipphone', wanted, signal);
      return { total, rows: sipPhones };
    };
    const status = async (ids) => (await board.api.post('/pbx/sipphone/status', { ids })).sipPhones;
    return new Pages(load, status, () => setVersion((number) => number + 1));
  }, [asked]);
  useEffect(() => () => rows.end(), [rows]);
  useEffect(() => board.feed.watch((news) => follow(rows, news, query)), [rows]);
  useEffect(() => {
    const timer = setInterval(() => rows.reloadSoon(), RELOAD_MS);
    return () => clearInterval(timer);
  }, [rows]);
  return [rows, version];
}

function follow(rows, { event, missed }, query) {
  if (missed) rows.reloadSoon();
  if (!event || !HAPPENS_TO_PHONES.has(event.event)) return;
  rows.touch(event.phone);
  if (LIVE_FILTERS.some((name) => query[name])) rows.reloadSoon(); // other phones may belong to the list now
}

// A click anywhere in a row opens the phone; the keyboard has the link.
function opened(event, open) {
  const link = event.target.closest('.all .row')?.querySelector('a');
  if (link && !event.target.closest('a') && !getSelection().toString()) open(link.dataset.id);
}

function countOf({ total, problem }) {
  if (total === null) return problem ? '' : 'Loading…';
  return total === 1 ? '1 phone' : `${numberOf(total)} phones`;
}
