// The frame of the board: log in, the pages, and whether what they show is live.

import { Api } from './api.js';
import { AuditLog } from './audit.js';
import { Calls } from './calls.js';
import { Connection } from './connection.js';
import { Feed } from './feed.js';
import { History } from './history.js';
import { html, useEffect, useMemo, useRef, useState } from './html.js';
import { Login } from './login.js';
import { OwnPhones } from './own.js';
import { Phone } from './phone.js';
import { Phones } from './phones.js';
import { addressOf, PHONES, usePlace } from './route.js';
import { Security } from './security.js';
import { forget, keep, kept, may, reaches } from './session.js';

const PAGES = {
  [PHONES]: ['Phones', Phones, 'GET /pbx/sipphone'],
  own: ['Your phones', OwnPhones, 'GET /pbx/sipphone/own'],
  calls: ['Calls', Calls, 'GET /pbx/call'],
  history: ['History', History, 'GET /pbx/call/history'],
  security: ['Security', Security, 'GET /pbx/sipphone/refusals'],
  audit: ['Audit log', AuditLog, 'GET /audit'],
};
const ENDED = 'Your login has ended. Log in again; the board goes on where it was.';

const SEES_CUSTOMERS = 'RESELLER';
const EVERY_CUSTOMER = 'all';

// What a list is asked for so that it has all customers of the login; nothing if there is one customer.
const allOf = ({ level }) => (reaches(level, SEES_CUSTOMERS) ? EVERY_CUSTOMER : undefined);

export function App() {
  const [session, setSession] = useState(kept);
  const [before, setBefore] = useState({ said: '', email: '' });
  const entered = (entering) => {
    keep(entering);
    setSession(entering);
  };
  const left = (said) => {
    forget();
    setBefore({ said, email: session.email });
    setSession(null);
  };
  if (!session) return html`<${Login} ...${before} entered=${entered} />`;
  return html`<${Board} key=${session.token} session=${session} left=${left} />`;
}

function Board({ session, left }) {
  const board = useMemo(() => {
    const api = new Api(session.token, () => left(ENDED));
    return { session, api, feed: new Feed(api, {}), may: (route) => may(session, route), all: allOf(session) };
  }, []);
  useEffect(() => {
    board.feed.start();
    return () => board.feed.stop();
  }, []);
  const logOut = () => {
    board.api.remove('/auth/session/current').catch(() => {}); // the token is forgotten here in any case
    left('');
  };
  const place = usePlace();
  const pages = pagesOf(board);
  return html`
    <header class="top">
      <p class="brand">registrar</p>
      <nav aria-label="Pages"><ul>${pages.map(([name, [label]]) => html`<li><a href=${addressOf(name)}
        aria-current=${pageOf(place, pages)[0] === name ? 'page' : undefined}>${label}</a></li>`)}</ul></nav>
      <p class="who">${session.name} <button type="button" onClick=${logOut}>Log out</button></p>
    </header>
    <${Connection} feed=${board.feed} />
    <${Main} board=${board} place=${place} pages=${pages} />`;
}

// The pages of a login; one's own phones are a page for those who may see no others.
function pagesOf(board) {
  const allowed = Object.entries(PAGES).filter(([, [, , route]]) => board.may(route));
  return allowed.filter(([name]) => name !== 'own' || !board.may(PAGES[PHONES][2]));
}

// The page at a place: the first one if the login has no such page.
function pageOf(place, pages) {
  return pages.find(([name]) => name === place.page) ?? pages[0];
}

function Main({ board, place, pages }) {
  const main = useRef(null);
  const isFirst = useRef(true);
  useEffect(() => {
    if (!isFirst.current) main.current.focus();
    isFirst.current = false;
    const [, [label]] = pageOf(place, pages);
    document.title = `${label} · registrar`;
  }, [place.page, place.id]);
  return html`<main ref=${main} tabindex="-1">${viewOf(board, place, pages)}</main>`;
}

function viewOf(board, place, pages) {
  const [name, [, View]] = pageOf(place, pages);
  if (name === PHONES && place.id) return html`<${Phone} key=${place.id} board=${board} id=${place.id} />`;
  return html`<${View} board=${board} query=${place.query} />`;
}
