// The missed calls, kept by this browser for the account. What came while the page was closed is not among them.

import { numberProblem } from './words.js';

const MOST = 50;

// `call(number)` is called when the user presses a number.
export class Missed {
  #key;
  #part = document.querySelector('#missed');
  #list = document.querySelector('#missed ul');
  #template = document.querySelector('template#missed-call');

  constructor(username, call) {
    this.#key = `registrar-phone-missed-${username}`;
    this.#list.addEventListener('click', ({ target }) => {
      const number = target.closest('button')?.dataset.number;
      if (number) call(number);
    });
    this.#part.querySelector('[data-do=clear]').addEventListener('click', () => {
      this.#keep([]);
      document.querySelector('#number').focus(); // the button is gone
    });
    addEventListener('storage', ({ key }) => key === this.#key && this.#show()); // another tab of the account
    this.#show();
  }

  add({ number, name }) {
    this.#keep([{ number, name, at: Date.now() }, ...stored(this.#key)].slice(0, MOST));
  }

  #keep(calls) {
    localStorage.setItem(this.#key, JSON.stringify(calls));
    this.#show();
  }

  #show() {
    const calls = stored(this.#key);
    this.#part.dataset.count = calls.length;
    this.#list.replaceChildren(...calls.map((call) => this.#item(call)));
    this.#list.hidden = calls.length === 0;
    this.#part.querySelector('[data-do=clear]').hidden = calls.length === 0;
  }

  #item({ number, name, at }) {
    const item = this.#template.content.cloneNode(true).firstElementChild;
    const button = item.querySelector('button');
    const who = name && number ? `${name} (${number})` : name || number || 'unknown caller';
    item.querySelector('time').textContent = new Date(at).toLocaleString();
    item.querySelector('.who').textContent = who;
    button.ariaLabel = `Call ${who}`;
    button.hidden = Boolean(numberProblem(number)); // a caller that withholds its number
    button.dataset.number = number;
    return item;
  }
}

// The list that was kept, without entries that are no calls.
function stored(key) {
  try {
    const kept = JSON.parse(localStorage.getItem(key)) ?? [];
    return kept
      .map(({ number, name, at }) => ({ number: String(number ?? ''), name: String(name ?? ''), at: Number(at) }))
      .filter(({ at }) => Number.isFinite(at))
      .slice(0, MOST);
  } catch {
    return [];
  }
}
