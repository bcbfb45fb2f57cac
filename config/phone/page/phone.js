// The phone: JsSIP, and its registration as one state. A callback gets its calls.

import JsSIP from 'jssip';

import { instanceId } from './account.js';
import { identityIn } from './identity.js';
import { passesByItself, serverSays } from './words.js';

const AGAIN_SECONDS = 10; // when an answer that passes by itself names no Retry-After
const LONGEST_SECONDS = 3600;
const WATCH_SECONDS = 600; // it is refreshed before
const SILENT = {
  mediaConstraints: { audio: false, video: false },
  rtcOfferConstraints: { offerToReceiveAudio: true },
};
const RING_SECONDS = 180; // the server ends an unanswered call earlier

export const START = {
  connection: 'idle', // idle, connecting, connected, disconnected
  attempt: 0,
  wasConnected: false,
  closeCode: null,
  closeReason: '',
  registration: 'none', // none, registering, registered, unregistering, unregistered, refused
  status: null, // of the last final answer to REGISTER; 0: none came
  reason: '',
  said: '', // why, in the server's words
  until: null, // ms of the clock
  againAt: null, // ms of the clock
  who: null, // number and name, as the server knows them
};

// One phone for one account. `show(state, line)` is called after each change, with a line for the log or none;
// `called({ session, request })` for each call that comes in.
export class Phone {
  #state = START;
  #show;
  #again = null;
  #ua;

  constructor(account, version, show, called) {
    this.#show = show;
    this.#ua = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(account.server)],
      uri: `sip:${account.username}@${account.domain}`,
      password: account.password,
      instance_id: instanceId(account.username),
      user_agent: `registrar-phone/${version} JsSIP/${JsSIP.version}`,
      no_answer_timeout: RING_SECONDS,
      session_timers_refresh_method: 'INVITE', // not every phone knows UPDATE
    });
    this.#listen(account.server);
    this.#ua.on('newRTCSession', (event) => event.originator === 'remote' && called(event));
  }

  get registered() {
    return this.#ua.isRegistered();
  }

  start() {
    this.#ua.start();
  }

  register() {
    this.#forgetAgain();
    this.#change({ registration: 'registering', status: null, until: null });
    this.#ua.register();
  }

  unregister() {
    this.#forgetAgain();
    const registered = this.#ua.isRegistered();
    const registration = registered ? 'unregistering' : 'unregistered';
    this.#change({ registration, status: null, reason: '', said: '', until: null });
    this.#ua.unregister();
  }

  // A call on its way to a number, as JsSIP's session.
  call(number, options) {
    return this.#ua.call(number, options);
  }

  // A subscription to the dialogs of a number, as JsSIP's subscriber.
  watch(number) {
    return this.#ua.subscribe(number, 'dialog', 'application/dialog-info+xml', { expires: WATCH_SECONDS });
  }

  // Dial a feature code, without sound and microphone. Resolves to JsSIP's `failed`, for that is how such a call ends;
  // null when the server takes the code for a number.
  dialCode(code) {
    return new Promise((resolve) => {
      const session = this.#ua.call(code, SILENT);
      const giveUp = () => {
        resolve(null);
        session.terminate();
      };
      session.on('icecandidate', ({ ready }) => ready());
      session.on('failed', resolve);
      session.on('progress', ({ originator }) => originator === 'remote' && giveUp());
      session.on('accepted', giveUp);
    });
  }

  #listen(server) {
    this.#ua.on('connecting', ({ attempts }) => {
      this.#change({ connection: 'connecting', attempt: attempts + 1 }, `connecting to ${server}`);
    });
    this.#ua.on('connected', () => this.#connected());
    this.#ua.on('disconnected', (event) => this.#disconnected(event));
    this.#ua.on('newTransaction', ({ transaction }) => this.#watch(transaction));
    this.#ua.on('registered', ({ response }) => this.#registered(response));
    this.#ua.on('registrationFailed', ({ response }) => this.#refused(response));
    this.#ua.on('unregistered', ({ response }) => this.#unregistered(response));
  }

  #change(changes, line = '') {
    this.#state = { ...this.#state, ...changes };
    this.#show(this.#state, line);
  }

  #connected() {
    const taken = this.#state.registration === 'unregistered';
    this.#change({
      connection: 'connected',
      wasConnected: true,
      closeCode: null,
      closeReason: '',
      registration: taken ? 'unregistered' : 'registering',
    }, 'connected');
  }

  #disconnected({ code = 1005, reason = '' }) {
    this.#forgetAgain();
    const taken = ['unregistering', 'unregistered'].includes(this.#state.registration);
    this.#change({
      connection: 'disconnected',
      closeCode: code,
      closeReason: reason,
      registration: taken ? 'unregistered' : 'none',
      status: null,
      reason: '',
      until: null,
    }, `disconnected, code ${code}${reason && ` ${reason}`}`);
  }

  // JsSIP tells of the first success alone; a refresh moves the end of the registration too.
  #watch(transaction) {
    if (transaction.type !== 'nict' || transaction.request.method !== 'REGISTER') return;
    const receive = transaction.receiveResponse.bind(transaction);
    transaction.receiveResponse = (response) => {
      const { status_code: status, reason_phrase: reason } = response;
      const challenged = status === 401 && !transaction.request.getHeader('authorization');
      this.#change({}, `REGISTER: ${status} ${reason}${challenged ? ', proof of the password is wanted' : ''}`);
      receive(response);
      if (status === 200 && this.#ua.isRegistered()) this.#registered(response);
    };
  }

  #registered(response) {
    const seconds = this.#granted(response);
    this.#change({
      registration: 'registered',
      status: response.status_code,
      reason: response.reason_phrase,
      until: Date.now() + seconds * 1000,
      who: identityIn(response, 'p-associated-uri') ?? this.#state.who,
    });
  }

  // The lifetime of our own contact in the answer, which names all contacts of the account.
  #granted(response) {
    const contacts = response.getHeaders('contact').map((_, index) => response.parseHeader('contact', index));
    const ours = contacts.find((contact) => contact?.uri.user === this.#ua.contact.uri.user);
    return Number(ours?.getParam('expires') ?? response.getHeader('expires') ?? 0);
  }

  #refused(response) {
    if (!this.#ua.isConnected()) {
      this.#change({ registration: 'none', status: null, reason: '', until: null });
      return;
    }
    const status = response?.status_code ?? 0;
    const seconds = passesByItself(status) ? waitSeconds(response) : null;
    if (seconds) this.#again = setTimeout(() => this.register(), seconds * 1000);
    this.#change({
      registration: 'refused',
      status,
      reason: response?.reason_phrase ?? '',
      said: serverSays(response),
      until: null,
      againAt: seconds && Date.now() + seconds * 1000,
    }, response ? '' : 'REGISTER: no answer');
  }

  #unregistered(response) {
    if (this.#state.registration !== 'unregistering') return; // told already: refused, or disconnected
    this.#change({
      registration: 'unregistered',
      status: response?.status_code ?? 0,
      reason: response?.reason_phrase ?? '',
      said: serverSays(response),
    });
  }

  #forgetAgain() {
    clearTimeout(this.#again);
    this.#state = { ...this.#state, againAt: null };
  }
}

function waitSeconds(response) {
  const asked = Number.parseInt(response?.getHeader('retry-after') ?? '', 10);
  return asked > 0 ? Math.min(asked, LONGEST_SECONDS) : AGAIN_SECONDS;
}
