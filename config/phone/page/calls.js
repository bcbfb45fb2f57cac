// The calls of the phone: one that is talked in, others on hold or waiting.

import { Call } from './call.js';
import { isMissed, isPickedUp } from './call_words.js';

const MOST_CALLS = 2; // a third caller hears that we are busy
const PICKED_UP_MS = 10_000; // within this time the call that was picked up comes
const BUSY = { status_code: 486, reason_phrase: 'Busy Here' };

// `show(calls, line)` is called after each change, with a line for the log or none.
export class Calls {
  #phone = null;
  #iceServers;
  #show;
  #calls = [];
  #pickedUpUntil = 0; // ms of the clock
  #told = new Map(); // the state of each call that the log knows
  #missed;

  // `missed(call)` is called with the number and name of a call that was not answered.
  constructor(iceServers, show, missed) {
    this.#iceServers = iceServers;
    this.#show = show;
    this.#missed = missed;
  }

  get live() {
    return this.#calls.filter((call) => call.live);
  }

  get full() {
    return this.live.length >= MOST_CALLS;
  }

  // The phone to call out with.
  use(phone) {
    this.#phone = phone;
  }

  dial(number) {
    this.#holdAllBut(null);
    const call = this.#add({ number });
    call.start((options) => this.#watched(this.#phone.call(number, options)));
  }

  // JsSIP tells of a call that comes in.
  called({ session, request }) {
    const { display_name: name, uri } = session.remote_identity;
    const caller = { number: uri.user ?? '', name: name ?? '' };
    if (this.full && !request.hasHeader('replaces')) {
      session.terminate(BUSY);
      this.#missed(caller);
      return;
    }
    const call = this.#add({ incoming: true, state: 'incoming', ...caller });
    call.adopt(this.#watched(session));
    session.on('failed', (event) => isMissed(event) && this.#missed(caller));
    if (request.hasHeader('replaces')) call.answer(); // it goes on with a call that was answered already
    else if (this.#isPickedUp(request)) this.answer(call);
  }

  // Note the answer to an outgoing call. If it says that a call was picked up, then that call comes next.
  note(answer) {
    if (isPickedUp(answer)) this.#pickedUpUntil = Date.now() + PICKED_UP_MS;
  }

  // Whether this is the call that we have just picked up. No other call is ever answered without the user.
  #isPickedUp(request) {
    const promised = Date.now() < this.#pickedUpUntil && wantsAnswer(request);
    if (promised) this.#pickedUpUntil = 0;
    return promised;
  }

  answer(call) {
    this.#holdAllBut(call);
    call.answer();
  }

  resume(call) {
    this.#holdAllBut(call);
    call.resume();
  }

  hangUpAll() {
    this.live.forEach((call) => call.hangUp());
  }

  #add(known) {
    const call = new Call(this.#iceServers, (changed) => this.#changed(changed), known);
    this.#calls = [...this.live, call];
    return call;
  }

  #holdAllBut(chosen) {
    this.live.filter((call) => call !== chosen).forEach((call) => call.hold());
  }

  // A session whose other side may send us on.
  #watched(session) {
    session.on('refer', ({ request, accept }) => this.#follow(request.refer_to.uri, accept));
    session.on('replaces', ({ accept }) => accept());
    session.on('failed', ({ message }) => this.note(message));
    return session;
  }

  // RFC 3515: the other side transfers us. Its call ends when it hears that the new one was answered.
  #follow(uri, accept) {
    this.#add({ number: uri.user ?? '' }).start((options) => {
      let made = null;
      accept((session) => {
        made = session;
      }, options);
      return this.#watched(made ?? this.#phone.call(uri, options)); // it may have hung up already
    });
  }

  #changed(call) {
    const { state } = call.state;
    const news = this.#told.get(call) === state ? '' : line(call.state);
    if (call.live) this.#told.set(call, state);
    else this.#told.delete(call);
    this.#calls = this.#calls.filter((other) => other.live || other === call); // the last that ended may be read
    this.#show(this.#calls, news);
  }
}

// RFC 5373, and what desk phones understand.
function wantsAnswer(request) {
  const mode = request.getHeader('answer-mode') ?? '';
  return /^auto\b/i.test(mode) || /\balert-autoanswer\b/i.test(request.getHeader('alert-info') ?? '');
}

function line({ state, incoming, name, number, why }) {
  const who = name ? `${name} (${number})` : number;
  const kind = incoming ? `call from ${who}` : `call to ${who}`;
  return { asking: '', answering: '', incoming: kind, ended: `${kind}: ${why}` }[state] ?? `${kind}: ${state}`;
}
