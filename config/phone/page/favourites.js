// A line of favourites: numbers with a lamp each, kept by this browser for the account.

import { UNKNOWN } from './lamps.js';
import { numberProblem, SHOWN } from './words.js';

const MOST = 30; // more are not clear at a glance
const LONGEST_LABEL = 40;

// `wanted(action, number)` is called with `call` and `pickUp` when the user presses a button.
export class Favourites {
  #key;
  #lamps;
  #wanted;
  #part = document.querySelector('#favourites');
  #list = document.querySelector('#favourites ul');
  #form = document.querySelector('#favour');
  #template = document.querySelector('template#favourite');
  #shown = new Map(); // number: its label, item and lamp

  constructor(username, lamps, wanted) {
    this.#key = `registrar-phone-favourites-${username}`;
    this.#lamps = lamps;
    this.#wanted = wanted;
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      const { number, label } = this.#form.elements;
      this.#added(number.value.replaceAll(/\s/g, ''), label.value.trim());
    });
    stored(this.#key).forEach(({ number, label }) => this.#shown.has(number) || this.#add(number, label));
    this.#keep();
  }

  // Show what is wrong; empty when nothing is.
  say(problem) {
    this.#part.querySelector('.problem').textContent = problem;
  }

  #added(number, label) {
    const full = this.#shown.size >= MOST && !this.#shown.has(number);
    const wrong = numberProblem(number) || (full ? `There are ${MOST} favourites already: remove one of them.` : '');
    this.say(wrong);
    if (wrong) return;
    if (this.#shown.has(number)) this.#drop(number);
    this.#add(number, label);
    this.#keep();
    this.#form.reset();
    this.#form.elements.number.focus();
  }

  #add(number, label) {
    const item = this.#template.content.cloneNode(true).firstElementChild;
    const name = label.slice(0, LONGEST_LABEL);
    item.dataset.number = number;
    item.querySelector('.name').textContent = name ? `${name} ${number}` : number;
    item.querySelector('[data-do=pickUp]').ariaLabel = `Pick up the call for ${name || number}`;
    item.querySelector('[data-do=remove]').ariaLabel = `Remove ${name || number}`;
    item.addEventListener('click', ({ target }) => {
      const action = target.closest('button')?.dataset.do;
      if (action === 'remove') this.#remove(number);
      else if (action) this.#wanted(action, number);
    });
    this.#list.append(item);
    show(item, UNKNOWN);
    this.#shown.set(number, { label: name, item, lamp: this.#lamps.add(number, (shown) => show(item, shown)) });
  }

  #remove(number) {
    const { item } = this.#shown.get(number);
    const next = item.nextElementSibling ?? item.previousElementSibling;
    this.#drop(number);
    this.#keep();
    (next?.querySelector('[data-do=call]') ?? this.#form.elements.number).focus();
  }

  #drop(number) {
    const { item, lamp } = this.#shown.get(number);
    this.#shown.delete(number);
    this.#lamps.remove(lamp);
    item.remove();
  }

  #keep() {
    const kept = [...this.#shown].map(([number, { label }]) => ({ number, label }));
    localStorage.setItem(this.#key, JSON.stringify(kept));
    this.#list.hidden = kept.length === 0;
    this.#part.querySelector('.none').hidden = kept.length > 0;
  }
}

// Show what a lamp shows. A button that goes away leaves the focus beside it.
function show(item, shown) {
  item.dataset.shown = shown;
  item.querySelector('.shown').textContent = SHOWN[shown];
  const pickUp = item.querySelector('[data-do=pickUp]');
  const lost = pickUp === document.activeElement && shown !== 'rings';
  pickUp.hidden = shown !== 'rings';
  if (lost) item.querySelector('[data-do=call]').focus();
}

// The list that was kept, without entries that are no favourites.
function stored(key) {
  try {
    const kept = JSON.parse(localStorage.getItem(key)) ?? [];
    return kept
      .map(({ number, label }) => ({ number: String(number), label: String(label ?? '') }))
      .filter(({ number }) => !numberProblem(number))
      .slice(0, MOST);
  } catch {
    return [];
  }
}
