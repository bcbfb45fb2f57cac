// A WebRTC account registered from this page, and what becomes of it.
//
// Nothing is taken back when the page goes away: its connection closes, and the server waits a few seconds for
// the next one of the same device. So a reload leaves no gap.

import { find, FIELDS, forget, keep, problem } from './account.js';
import { Phone, START } from './phone.js';
import { countDown, showAccount, showForm, showState } from './view.js';

function run(account) {
  const show = (state, line) => showState(state, account.server, line);
  showAccount(account);
  show(START, '');
  const phone = new Phone(account, document.body.dataset.version, show);
  document.querySelector('#register').addEventListener('click', () => phone.register());
  document.querySelector('#unregister').addEventListener('click', () => phone.unregister());
  document.querySelector('#other').addEventListener('click', leave);
  setInterval(countDown, 1000);
  phone.start();
}

function leave() {
  forget();
  history.replaceState(null, '', location.pathname);
  location.reload();
}

function submitted(event) {
  event.preventDefault();
  const fields = event.target.elements;
  const account = Object.fromEntries(FIELDS.map((name) => [name, fields[name].value.trim()]));
  const wrong = problem(account);
  if (wrong) {
    showForm(account, wrong);
    return;
  }
  keep(account);
  history.replaceState(null, '', location.pathname);
  location.reload();
}

const account = find();
const wrong = account ? problem(account) : '';
addEventListener('hashchange', () => location.reload());
document.querySelector('#form').addEventListener('submit', submitted);
if (account && !wrong) run(account);
else showForm(account, wrong);
