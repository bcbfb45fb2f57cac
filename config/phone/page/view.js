// The state on the page. Whatever came over the network is shown as text, never as HTML.

import { named } from './identity.js';
import { certificatePage, whyClosed, whyRefused, whyUnregistered } from './words.js';

const LOG_LINES = 100;
const MOODS = {
  idle: 'off',
  connecting: 'waiting',
  connected: 'good',
  disconnected: 'bad',
  none: 'off',
  registering: 'waiting',
  registered: 'good',
  unregistering: 'waiting',
  unregistered: 'off',
  refused: 'bad',
};

const find = (selector) => document.querySelector(selector);
const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });

let shown = null; // what the countdown counts

// Where the server of this page has its phones register; empty when it does not know.
export function ownServer() {
  return find('#form').elements.server.defaultValue;
}

// Show the form, with what is known already and what is wrong with it.
export function showForm(account, problem) {
  find('#form').hidden = false;
  find('#phone').hidden = true;
  for (const [name, value] of Object.entries(account ?? {})) {
    const field = find('#form').elements[name];
    if (field && value) field.value = value;
  }
  find('#problem').textContent = problem;
}

// Show the phone of an account.
export function showAccount(account) {
  find('#form').hidden = true;
  find('#phone').hidden = false;
  find('#account').textContent = `${account.username}@${account.domain}`;
  find('#server').textContent = account.server;
}

// Show a state; `line` goes to the log.
export function showState(state, server, line) {
  shown = state;
  document.body.dataset.connection = state.connection;
  document.body.dataset.registration = state.registration;
  document.body.dataset.status = state.status ?? '';
  document.body.dataset.closeCode = state.closeCode ?? '';
  document.body.dataset.until = state.until ?? '';
  if (state.who) find('#who').textContent = named(state.who);
  showConnection(state, server);
  showRegistration(state);
  // Not `disabled`: the button that was pressed would lose the focus.
  find('#register').ariaDisabled = ['registering', 'unregistering'].includes(state.registration);
  find('#unregister').ariaDisabled = ['unregistering', 'unregistered'].includes(state.registration);
  if (line) addLine(line);
}

function showConnection(state, server) {
  const part = find('#connection');
  part.dataset.mood = MOODS[state.connection];
  part.querySelector('.headline').textContent = {
    idle: 'not connected',
    connecting: state.attempt > 1 ? `connecting, attempt ${state.attempt}` : 'connecting',
    connected: 'connected',
    disconnected: `disconnected (${state.closeCode}${state.closeReason && ` ${state.closeReason}`})`,
  }[state.connection];
  const failed = state.closeCode !== null;
  const why = failed ? whyClosed(state.closeCode, state.wasConnected, server) : '';
  part.querySelector('.words').textContent = failed ? `${why} The page tries again, each 2 to 30 seconds.` : '';
  showWay(part, failed ? certificatePage(state.closeCode, state.wasConnected, server) : '');
}

function showWay(part, page) {
  const link = part.querySelector('.way a');
  part.querySelector('.way').hidden = page === '';
  link.textContent = page;
  link.href = page;
}

function showRegistration(state) {
  const part = find('#registration');
  part.dataset.mood = MOODS[state.registration];
  part.querySelector('.headline').textContent = {
    none: 'not registered',
    registering: 'registering',
    registered: `registered until ${clock(state.until)}`,
    unregistering: 'ending the registration',
    unregistered: 'not registered',
    refused: state.status === 0 ? 'no answer' : `refused: ${state.status} ${state.reason}`,
  }[state.registration];
  part.querySelector('.words').textContent = {
    none: state.connection === 'disconnected' ? 'Registers by itself as soon as there is a connection.' : '',
    unregistered: whyUnregistered(state.status) + state.said,
    refused: whyRefused(state.status, state.said) + state.said,
  }[state.registration] ?? '';
  countDown();
}

// The seconds left; called each second.
export function countDown() {
  const text = find('#registration .countdown');
  text.textContent = '';
  if (shown?.until) text.textContent = `${left(shown.until)} left; it is renewed before it ends`;
  if (shown?.againAt) text.textContent = `trying again at ${clock(shown.againAt)}, in ${left(shown.againAt)}`;
}

function left(until) {
  const seconds = Math.max(0, Math.round((until - Date.now()) / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

// Show the number that can be dialled again.
export function showRedial(number) {
  find('#redial').hidden = !number;
  find('#redial').textContent = `Redial ${number}`;
}

// What is wrong with the number that was dialled.
export function showDialProblem(text) {
  find('#dial .problem').textContent = text;
}

// Whether the browser keeps the ring tone back.
export function showSilence(silent) {
  const text = silent ? 'It rings: click on the page to hear it, the browser waits for that.' : '';
  if (find('#silent').textContent !== text) find('#silent').textContent = text;
}

// One line more of what happened.
export function addLine(line) {
  const log = find('#log');
  const item = document.createElement('li');
  const time = document.createElement('time');
  time.textContent = clock(Date.now());
  item.append(time, ` ${line}`);
  log.prepend(item);
  while (log.children.length > LOG_LINES) log.lastChild.remove();
}
