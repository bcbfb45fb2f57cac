// A WebRTC account registered from this page, its calls, and what becomes of them.
//
// The registration is not taken back when the page goes away: its connection closes, and the server waits a few
// seconds for the next one of the same device. So a reload leaves no gap. Calls end with the page.

import {
  accountOf, forget, fromLink, fromLinkBefore, iceServers, isSameServer, keep, kept, openAnew, problem,
} from './account.js';
import { CallCards } from './call_view.js';
import { codeSays } from './call_words.js';
import { Calls } from './calls.js';
import { DeviceMenu } from './devices.js';
import { Favourites } from './favourites.js';
import { named } from './identity.js';
import { Lamps } from './lamps.js';
import { Missed } from './missed.js';
import { Notices } from './notices.js';
import { Phone, START } from './phone.js';
import { Ringer, wake } from './sound.js';
import {
  addLine, countDown, ownServer, showAccount, showDialProblem, showForm, showRedial, showSilence, showState,
} from './view.js';
import { Wishes } from './wishes.js';
import { numberProblem } from './words.js';

const METER_MS = 100;
const LAST = 'registrar-phone-last-'; // and the username: the number that was dialled last

function run(account) {
  const lamps = new Lamps();
  let who = 'Phone';
  let states = [];
  const show = (state, line) => {
    if (state.who) who = named(state.who);
    document.title = titleFor(states, who);
    showState(state, account.server, line);
    lamps.follow(state.registration);
  };
  const missed = new Missed(account.username, (number) => showDialProblem(dial(number)));
  const calls = new Calls(iceServers(account), showCalls, (call) => missed.add(call));
  showAccount(account);
  show(START, '');
  const phone = new Phone(account, document.body.dataset.version, show, (event) => calls.called(event));
  calls.use(phone);
  lamps.use(phone);
  new Wishes((code) => phone.dialCode(code), lamps);
  const favourites = new Favourites(account.username, lamps, (action, number) => {
    if (action === 'call') favourites.say(dial(number));
    else pickUp(number);
  });

  const cards = new CallCards((action, call, detail) => {
    const actions = {
      answer: () => calls.answer(call),
      resume: () => calls.resume(call),
      decline: () => call.hangUp(),
      transfer: () => numberProblem(detail) || call.transfer(detail),
    };
    (actions[action] ?? (() => call[action](detail)))();
  });
  const ringer = new Ringer();
  const notices = new Notices();
  const menu = new DeviceMenu((what) => {
    calls.live.forEach((call) => (what === 'microphone' ? call.changeMicrophone() : call.changeSpeaker()));
  });

  function showCalls(shown, line) {
    cards.show(shown);
    notices.follow(shown);
    states = shown.map((call) => call.state);
    ringer.play(toneFor(states));
    document.title = titleFor(states, who);
    if (!line) return;
    addLine(line);
    menu.refresh(); // the names of devices are known when the first call has its microphone
  }

  // Call a number, or say what is in the way.
  function dial(number) {
    const wrong = dialProblem(number, phone, calls);
    if (wrong) return wrong;
    calls.dial(number);
    localStorage.setItem(LAST + account.username, number);
    showRedial(number);
    return '';
  }

  // Pick up the call that rings at a number: it comes as a call of its own.
  async function pickUp(number) {
    const wrong = dialProblem(number, phone, calls);
    favourites.say(wrong);
    if (wrong) return;
    const event = await phone.dialCode(`**${number}`);
    calls.note(event?.message);
    const { done, said } = codeSays(event);
    if (!done) favourites.say(said);
  }

  document.querySelector('#dial').addEventListener('submit', (event) => {
    event.preventDefault();
    const wrong = dial(event.target.elements.number.value.replaceAll(/\s/g, ''));
    showDialProblem(wrong);
    if (!wrong) event.target.reset(); // Enter once more is no second call
  });
  showRedial(localStorage.getItem(LAST + account.username) ?? '');
  document.querySelector('#redial').addEventListener('click', () => {
    showDialProblem(dial(localStorage.getItem(LAST + account.username)));
  });
  for (const name of ['register', 'unregister']) {
    document.querySelector(`#${name}`).addEventListener('click', ({ currentTarget: button }) => {
      if (button.ariaDisabled !== 'true') phone[name]();
    });
  }
  document.querySelector('#other').addEventListener('click', leave);
  for (const touched of ['pointerdown', 'keydown']) addEventListener(touched, wake);
  addEventListener('beforeunload', (event) => calls.live.length > 0 && event.preventDefault());
  addEventListener('pagehide', () => calls.hangUpAll());
  setInterval(() => {
    countDown();
    cards.tick();
    showSilence(ringer.heldBack);
  }, 1000);
  setInterval(() => cards.measure(), METER_MS);
  phone.start();
}

function dialProblem(number, phone, calls) {
  const wrong = numberProblem(number);
  if (wrong) return wrong;
  if (!phone.registered) return 'The phone is not registered: it cannot call.';
  if (calls.full) return 'There are two calls already: hang up one of them.';
  return '';
}

// The sounds of calls that are not answered yet.
function toneFor(states) {
  const incoming = states.some(({ state }) => state === 'incoming');
  const talking = states.some(({ state }) => state === 'talking');
  if (incoming) return talking ? 'waiting' : 'ring';
  return states.some(({ state, early }) => state === 'ringing' && !early) ? 'ringback' : '';
}

function titleFor(states, who) {
  const caller = states.find(({ state }) => state === 'incoming');
  return caller ? `${caller.name || caller.number} calls` : who;
}

function leave() {
  forget();
  location.reload();
}

function submitted(event) {
  event.preventDefault();
  const fields = event.target.elements;
  const account = accountOf((name) => fields[name]?.value ?? '');
  if (linked && isSameServer(account.server, linked.server)) account.ice = linked.ice;
  const wrong = problem(account);
  if (wrong) {
    showForm(account, wrong);
    return;
  }
  keep(account);
  location.reload();
}

// What stands in the way of registering the account of a link; empty when nothing does.
function doubt(account) {
  const wrong = problem(account);
  if (wrong || isSameServer(account.server, ownServer())) return wrong;
  return `The link leads to another server than that of this page: ${account.server}. Connect only if you know it.`;
}

const linked = fromLink() ?? fromLinkBefore();
const account = linked ?? kept();
const doubts = linked ? doubt(linked) : '';
addEventListener('hashchange', () => {
  const another = fromLink();
  if (another) openAnew(another);
});
document.querySelector('#form').addEventListener('submit', submitted);
if (account && !doubts) {
  keep(account);
  run(account);
} else {
  showForm(account, doubts);
}
