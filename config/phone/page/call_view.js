// The calls on the page, a card each. Whatever came over the network is shown as text, never as HTML.

const KEYS = '123456789*0#';
const SILENT_DB = -70;
const MOODS = {
  asking: 'waiting',
  calling: 'waiting',
  ringing: 'waiting',
  incoming: 'waiting',
  answering: 'waiting',
  talking: 'good',
  ended: 'off',
};
const BUTTONS = { // what can be done with a call; hold or resume is added while it is talked in
  asking: ['hangUp'],
  calling: ['hangUp'],
  ringing: ['hangUp'],
  incoming: ['answer', 'decline'],
  answering: ['decline'],
  talking: ['hangUp', 'mute'],
  ended: [],
};

// `wanted(action, call, detail)` is called when the user presses a button of a call.
export class CallCards {
  #place = document.querySelector('#calls');
  #template = document.querySelector('template#call');
  #cards = new Map();
  #wanted;

  constructor(wanted) {
    this.#wanted = wanted;
  }

  show(calls) {
    const focused = this.#focused();
    for (const call of this.#cards.keys()) {
      if (!calls.includes(call)) this.#drop(call);
    }
    for (const call of calls) fill(this.#card(call), call.state);
    if (focused) this.#refocus(focused, calls);
    document.body.dataset.calls = calls.map((call) => stateOf(call.state)).join(' ');
  }

  // The seconds that count, called each second; the levels, called more often.
  tick() {
    for (const [call, card] of this.#cards) card.querySelector('.clock').textContent = clock(call.state);
  }

  measure() {
    for (const [call, card] of this.#cards) {
      if (call.state.state === 'talking') showLevels(card, call);
    }
  }

  // The card that has the focus, or a part of it has.
  #focused() {
    return document.activeElement?.closest('.call') ?? null;
  }

  // The button that was pressed may be gone, or its card: stay with the call, else go to the one that is left.
  #refocus(focused, calls) {
    const lost = !focused.contains(document.activeElement) || !document.activeElement.checkVisibility();
    const card = focused.isConnected ? focused : this.#cards.get(calls.at(-1));
    if (lost) (card ?? document.querySelector('#number')).focus();
  }

  #card(call) {
    const known = this.#cards.get(call);
    if (known) return known;
    const card = this.#template.content.cloneNode(true).firstElementChild;
    card.querySelector('.keypad').append(...[...KEYS].map(keyButton));
    card.addEventListener('click', ({ target }) => {
      const button = target.closest('button[data-do]');
      if (button) this.#wanted(button.dataset.do, call, button.dataset.key);
    });
    card.querySelector('form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#wanted('transfer', call, event.target.elements.number.value.trim());
    });
    this.#cards.set(call, card);
    this.#place.prepend(card);
    return card;
  }

  #drop(call) {
    this.#cards.get(call).remove();
    this.#cards.delete(call);
  }
}

function keyButton(key) {
  const button = document.createElement('button');
  button.type = 'button';
  button.dataset.do = 'press';
  button.dataset.key = key;
  button.textContent = key;
  return button;
}

// What a test and a reader of the page's source find on it.
function stateOf({ state, held }) {
  return held && state === 'talking' ? 'held' : state;
}

function fill(card, call) {
  card.dataset.state = stateOf(call);
  card.dataset.mood = call.held || call.heldByOther ? 'waiting' : MOODS[call.state];
  name(card, call);
  put(card, 'h2', call.incoming ? 'Incoming call' : 'Call');
  put(card, '.headline span', headline(call));
  put(card, '.clock', clock(call));
  put(card, '.words', words(call));
  put(card, '.trouble', call.trouble);
  put(card, '.transferred', call.state === 'ended' ? '' : call.transfer);
  put(card, '.keys', call.keys && `Keys: ${call.keys}`);
  const offered = [...BUTTONS[call.state], call.held ? 'resume' : 'hold'];
  for (const button of card.querySelectorAll('.buttons button')) {
    const { do: action } = button.dataset;
    button.hidden = !offered.includes(action) || (call.state !== 'talking' && ['hold', 'resume'].includes(action));
  }
  const mute = card.querySelector('[data-do=mute]');
  mute.setAttribute('aria-pressed', call.muted);
  card.querySelector('.tools').hidden = call.state !== 'talking';
}

// What a screen reader says when the card gets the focus.
function name(card, call) {
  const text = `Call: ${whom(call)}`;
  if (card.ariaLabel !== text) card.ariaLabel = text;
}

// An unchanged text is not written again: a screen reader would read it again.
function put(card, selector, text) {
  const part = card.querySelector(selector);
  if (part.textContent !== text) part.textContent = text;
}

function whom({ name, number }) {
  return name && number ? `${name} (${number})` : name || number || 'unknown caller';
}

function headline(call) {
  const { state, held } = call;
  const who = call.name || call.number || 'unknown caller';
  const whole = whom(call);
  return {
    asking: `calling ${who}: asking for the microphone`,
    calling: `calling ${who}`,
    ringing: `ringing at ${who}`,
    incoming: `${whole} calls`,
    answering: `answering ${whole}`,
    talking: held ? `${whole}: on hold` : `talking with ${whole}`,
    ended: `${whole}: ended`,
  }[state];
}

function words({ state, why, heldByOther, muted }) {
  if (state === 'ended') return why;
  if (state !== 'talking') return '';
  if (heldByOther) return 'The other side has put you on hold.';
  return muted ? 'The other side does not hear you: the microphone is muted.' : '';
}

function clock({ since, until }) {
  if (since === null) return '';
  const seconds = Math.max(0, Math.floor(((until ?? Date.now()) - since) / 1000));
  const rest = `${String(Math.floor(seconds / 60) % 60)}:${String(seconds % 60).padStart(2, '0')}`;
  return seconds < 3600 ? rest : `${Math.floor(seconds / 3600)}:${rest.padStart(5, '0')}`;
}

function showLevels(card, call) {
  const { muted, held, heldByOther } = call.state;
  const { microphone, speaker } = call.levels;
  const off = (held || heldByOther) && 'on hold';
  showLevel(card.querySelector('meter.microphone'), microphone, off || (muted && 'muted'));
  showLevel(card.querySelector('meter.speaker'), speaker, off);
}

function showLevel(meter, level, off) {
  meter.value = level === null || off ? meter.min : level;
  const said = meter.parentElement.querySelector('.said');
  const heard = level > SILENT_DB ? 'sound' : 'silence';
  const text = off || (level === null ? 'no sound yet' : heard);
  if (said.textContent !== text) said.textContent = text;
}
