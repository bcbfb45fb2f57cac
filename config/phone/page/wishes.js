// The wishes of the person: do not disturb, and where every call is forwarded to. A feature code sets each of them;
// what is on is shown by a lamp, for another phone of the person may set them too.

import { codeSays } from './call_words.js';
import { numberProblem } from './words.js';

const DND = { on: '*78', off: '*79', lamp: '*76' };
const FORWARD = { on: '*72', off: '*73', lamp: '*73' };
const ON = 'talks'; // the lamp of a feature code that is on
const WORDS = {
  talks: 'On: your phones do not ring.',
  free: '',
  unknown: 'Not known at the moment.',
};

// `dial(code)` dials a feature code and resolves to what it led to.
export class Wishes {
  #dial;
  #part = document.querySelector('#wishes');
  #dnd = document.querySelector('#dnd');
  #forward = document.querySelector('#forward');
  #busy = false;
  #stop = document.querySelector('#forward [data-do=stop]');

  constructor(dial, lamps) {
    this.#dial = dial;
    lamps.add(DND.lamp, (shown) => this.#showDnd(shown));
    lamps.add(FORWARD.lamp, (shown) => this.#showForward(shown));
    this.#dnd.addEventListener('click', () => {
      this.#set(this.#dnd.ariaChecked === 'true' ? DND.off : DND.on);
    });
    this.#stop.addEventListener('click', () => this.#stop.ariaDisabled === 'true' || this.#set(FORWARD.off));
    this.#forward.addEventListener('submit', (event) => {
      event.preventDefault();
      const number = this.#forward.elements.number.value.replaceAll(/\s/g, '');
      const wrong = numberProblem(number);
      if (wrong) this.#say('', wrong);
      else this.#set(FORWARD.on + number);
    });
  }

  // Dial a code, one at a time, and show the result.
  async #set(code) {
    if (this.#busy) return;
    this.#busy = true;
    this.#say('', '');
    const { done, said } = codeSays(await this.#dial(code));
    this.#busy = false;
    this.#say(done ? said : '', done ? '' : said);
    if (done && code.startsWith(FORWARD.on)) this.#forward.reset();
  }

  #say(said, problem) {
    this.#part.querySelector('.done').textContent = said;
    this.#part.querySelector('.problem').textContent = problem;
  }

  #showDnd(shown) {
    this.#dnd.ariaChecked = shown === ON;
    this.#dnd.dataset.shown = shown;
    this.#part.querySelector('.dnd').textContent = WORDS[shown] ?? WORDS.unknown;
  }

  #showForward(shown) {
    this.#forward.dataset.shown = shown;
    this.#stop.ariaDisabled = shown === 'free'; // not `disabled`: it would lose the focus
    this.#part.querySelector('.forwarded').textContent = WORDS[shown] ?? WORDS.unknown;
  }
}
