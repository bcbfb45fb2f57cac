// The page at /selftest: five steps, each shown as soon as it is known, and the result above them.

import { iceServers, kept } from './account.js';
import { askServer, connect, gather, relays } from './selftest_checks.js';
import { aboutCertificate, aboutConnection, aboutListener, aboutRelay, aboutSound, verdict } from './selftest_words.js';

const WAITING = { mood: 'waiting', headline: 'looking', words: '', facts: [] };

// The account of the phone that has opened this page, or null.
const account = kept();
const servers = (account && iceServers(account)) || [];
const turn = servers.flatMap(({ urls }) => urls).filter((url) => /^turns?:/.test(url));

async function test() {
  show('#verdict', { ...WAITING, headline: 'testing' });
  document.querySelector('#steps').replaceChildren();
  const cards = ['Server', 'Certificate', 'Connection', 'Sound', 'Relay'].map(addStep);
  const [listener, certificate, connection, sound, relay] = cards;
  const url = account?.server || document.body.dataset.server;
  const [server, socket] = await Promise.all([askServer(location.origin), url ? connect(url) : null]);
  const own = isOwn(url, server) ? server : {};
  const steps = [
    listener(aboutListener(server)),
    certificate(aboutCertificate(server)),
    connection(aboutConnection(socket, own, url)),
  ];
  const found = await gather(servers);
  steps.push(sound(aboutSound(found, servers)));
  const relayed = turn.length > 0 && found.kinds.includes('relay') && (await relays(servers));
  steps.push(relay(aboutRelay(found, relayed, turn)));
  show('#verdict', verdict(steps));
  document.body.dataset.found = steps.map(({ title, headline }) => `${title}: ${headline}`).join(' | ');
  document.body.dataset.state = 'done';
}

// Whether the phone connects to the server of this page: what that server says of itself explains nothing else.
function isOwn(url, server) {
  return URL.canParse(url) && URL.canParse(server.server ?? '') && new URL(url).host === new URL(server.server).host;
}

// Add a step that is under way; the function that is returned shows what it has found, and returns it.
function addStep(title) {
  const card = document.querySelector('template#step').content.cloneNode(true).firstElementChild;
  card.id = title.toLowerCase();
  card.querySelector('h2').textContent = title;
  document.querySelector('#steps').append(card);
  show(`#${card.id}`, WAITING);
  return (step) => {
    show(`#${card.id}`, step);
    return { title, ...step };
  };
}

function show(selector, { mood, headline, words, facts = [] }) {
  const card = document.querySelector(selector);
  card.dataset.mood = mood;
  card.querySelector('.headline').textContent = headline;
  card.querySelector('.words').textContent = words;
  const list = card.querySelector('.facts');
  if (!list) return;
  list.hidden = facts.length === 0;
  list.replaceChildren(...facts.flatMap(([name, value]) => [element('dt', name), element('dd', value)]));
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

document.querySelector('#again').addEventListener('click', () => {
  if (document.body.dataset.state === 'done') {
    document.body.dataset.state = '';
    test();
  }
});
test();
