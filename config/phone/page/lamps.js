// Lamps: what numbers and feature codes show of themselves, each by a subscription to its dialogs (RFC 4235).

const AGAIN_MS = 60_000; // after a subscription that the server refused or ended
const SHOWN = { terminated: 'free', trying: 'talks', early: 'rings', confirmed: 'talks' };
const OFFLINE = ['none', 'unregistered', 'refused'];

export const UNKNOWN = 'unknown';

// All lamps of the page. They are lit while the phone is registered.
export class Lamps {
  #phone = null;
  #lamps = new Set();
  #lit = false;

  // The phone to subscribe with.
  use(phone) {
    this.#phone = phone;
  }

  // Follow the registration of the phone.
  follow(registration) {
    if (registration === 'registered' && !this.#lit) {
      this.#lit = true;
      this.#lamps.forEach((lamp) => lamp.light(this.#phone));
    } else if (OFFLINE.includes(registration) && this.#lit) {
      this.#lit = false;
      this.#lamps.forEach((lamp) => lamp.putOut());
    }
  }

  // Add a lamp. `show(shown)` is called with free, rings, talks or unknown.
  add(number, show) {
    const lamp = new Lamp(number, show);
    this.#lamps.add(lamp);
    if (this.#lit) lamp.light(this.#phone);
    return lamp;
  }

  remove(lamp) {
    this.#lamps.delete(lamp);
    lamp.putOut();
  }
}

class Lamp {
  #number;
  #show;
  #subscription = null;
  #again = null;

  constructor(number, show) {
    this.#number = number;
    this.#show = show;
  }

  light(phone) {
    const subscription = phone.watch(this.#number);
    this.#subscription = subscription;
    subscription.on('notify', (isFinal, request, body) => {
      if (this.#subscription === subscription) this.#show(shownBy(body));
    });
    subscription.on('terminated', () => {
      if (this.#subscription !== subscription) return;
      this.#show(UNKNOWN);
      this.#again = setTimeout(() => this.light(phone), AGAIN_MS);
    });
    subscription.subscribe();
  }

  putOut() {
    clearTimeout(this.#again);
    const subscription = this.#subscription;
    this.#subscription = null;
    subscription?.terminate();
    this.#show(UNKNOWN);
  }
}

// What a document says. The server names one dialog in it; in names, it has `&lt;` for `<`.
function shownBy(body) {
  const state = /<state>\s*([a-z]+)\s*<\/state>/.exec(body)?.[1];
  return SHOWN[state] ?? UNKNOWN;
}
